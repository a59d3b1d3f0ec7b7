/** Moves files between folders, and undoes that. */

import { lookUp, moveFiles } from '../api/files';
import { explain } from '../errors';
import { i18n } from '../i18n/i18n.svelte';
import { fileList } from './files.svelte';
import { toasts } from './toasts.svelte';

/** The ids of files by their target folder. */
type Moves = ReadonlyMap<string, readonly number[]>;

/** Move files until the signal and offer an undo; return the files that were not moved, and the error. */
export async function move(
  ids: readonly number[],
  folder: string,
  onProgress: (done: number) => void,
  signal: AbortSignal,
): Promise<{ failed: number[]; error: unknown }> {
  let earlier: Map<number, string>;
  try {
    earlier = new Map((await lookUp(ids)).map((file) => [file.id, file.folder ?? '']));
  } catch (error) {
    return { failed: [...ids], error };
  }
  const { moved, failed, error } = await moveFiles(ids, folder, onProgress, signal);
  if (moved.length === 0) return { failed, error };
  for (const file of moved) fileList.changed(file);
  fileList.refresh();
  const back = new Map<string, number[]>();
  for (const { id } of moved) {
    const place = earlier.get(id) ?? '';
    const others = back.get(place);
    if (others) others.push(id);
    else back.set(place, [id]);
  }
  const text = folder ? i18n.t.moved(moved.length, folder) : i18n.t.movedOut(moved.length);
  toasts.show(text, 'plain', { name: i18n.t.undo, run: () => void undo(back) });
  return { failed, error };
}

async function undo(back: Moves): Promise<void> {
  let count = 0;
  const left = new Map<string, number[]>();
  let reason: unknown = null;
  for (const [folder, ids] of back) {
    const { moved, failed, error } = await moveFiles(ids, folder, () => {});
    for (const file of moved) fileList.changed(file);
    count += moved.length;
    if (failed.length > 0) left.set(folder, failed);
    reason ??= error;
  }
  fileList.refresh();
  if (count > 0) toasts.show(i18n.t.movedBack(count));
  if (left.size > 0) toasts.show(explain(reason), 'error', { name: i18n.t.retry, run: () => void undo(left) });
}
