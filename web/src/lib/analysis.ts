/** The metadata of an image, read without a task. */

import { getJson } from './api/http';
import { TASKS } from './api/tasks';
import type { Json } from './api/types';

export type Channel = { counts: number[] };

/** A part that is not available for the image is missing, and `unavailable` gives the reason. */
export interface Analysis {
  info?: Record<string, Json>;
  exif?: Record<string, Record<string, Json>>;
  histogram?: Record<string, Channel>;
  colors?: { color: string; share: number }[];
  unavailable?: Record<string, string>;
}

export const analyze = (fileId: number, signal: AbortSignal): Promise<Analysis> =>
  getJson(`${TASKS}/metadata/${fileId}?parts=info,exif,histogram,colors`, signal);
