/** Chooses the picture that represents a file. */

import { inlineAddress } from './api/files';
import { TASKS } from './api/tasks';
import type { FileRow } from './api/types';

export type ThumbnailSize = 128 | 256 | 512 | 1024;

const SHOWN_BY_BROWSERS = new Set(['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif', 'image/bmp']);
/** Larger originals are not used in place of a thumbnail. */
export const SMALL_BYTES = 2_000_000;

export const isPicture = (file: { media_type: string }): boolean =>
  file.media_type.startsWith('image/') || file.media_type === 'application/pdf';

export const isShown = (file: { media_type: string }): boolean => SHOWN_BY_BROWSERS.has(file.media_type);

/** Addresses to try, in order. */
export function pictures(file: FileRow, size: ThumbnailSize): string[] {
  if (!isPicture(file)) return [];
  const addresses = [`${TASKS}/thumbnails/${file.id}/${size}`];
  if (isShown(file) && file.size <= SMALL_BYTES) addresses.push(inlineAddress(file.id));
  return addresses;
}
