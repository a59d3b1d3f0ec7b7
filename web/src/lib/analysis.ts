/** The metadata of an image, read without a task. */

import { getJson } from './api/http';
import { TASKS } from './api/tasks';
import type { Json } from './api/types';
import { i18n, type Language } from './i18n/i18n.svelte';

export type Channel = { counts: number[] };

/** A part that is not available for the image is missing, and `unavailable` gives the reason. */
export interface Analysis {
  /** The language of the reasons. */
  language: Language;
  info?: Record<string, Json>;
  exif?: Record<string, Record<string, Json>>;
  histogram?: Record<string, Channel>;
  colors?: { color: string; share: number }[];
  unavailable?: Record<string, string>;
}

export async function analyze(fileId: number, signal: AbortSignal): Promise<Analysis> {
  const { language } = i18n;
  const parts = await getJson<Omit<Analysis, 'language'>>(`${TASKS}/metadata/${fileId}?parts=info,exif,histogram,colors`, signal);
  return { ...parts, language };
}
