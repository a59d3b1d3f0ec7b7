/** What the algorithms that answer JSON say about an image. Their tasks and files are removed once they are read. */

import { deleteFile, downloadAddress } from './api/files';
import { getJson } from './api/http';
import { createTasks, deleteTask, tasksByIds } from './api/tasks';
import type { Json, Task } from './api/types';
import { i18n } from './i18n/i18n.svelte';

export type Channel = { counts: number[] };

export interface Analysis {
  info: Record<string, Json>;
  exif: Record<string, Record<string, Json>>;
  histogram: Record<string, Channel>;
  colors: { color: string; share: number }[];
}

const POLL_MS = 250;
const isOver = ({ status }: Task): boolean => status !== 'pending' && status !== 'processing';

export async function analyze(fileId: number, signal: AbortSignal): Promise<Analysis> {
  const [info, exif, histogram, colors] = await Promise.all([
    answer<Analysis['info']>(fileId, 'info', signal),
    answer<Analysis['exif']>(fileId, 'exif', signal),
    answer<Analysis['histogram']>(fileId, 'histogram', signal),
    answer<{ colors: Analysis['colors'] }>(fileId, 'dominant_colors', signal),
  ]);
  return { info, exif, histogram, colors: colors.colors };
}

async function answer<T>(fileId: number, algorithm: string, signal: AbortSignal): Promise<T> {
  const [id] = await createTasks([fileId], { steps: [{ algorithm, params: {} }], output: {} });
  if (id === undefined) throw new Error(i18n.t.analyzeFailed);
  const task = await ended(id, signal);
  try {
    if (task.result_id === null) throw new Error(task.error ?? i18n.t.analyzeFailed);
    return await getJson<T>(downloadAddress(task.result_id));
  } finally {
    await Promise.allSettled([deleteTask(id), ...(task.result_id === null ? [] : [deleteFile(task.result_id)])]);
  }
}

async function ended(id: number, signal: AbortSignal): Promise<Task> {
  for (;;) {
    signal.throwIfAborted();
    const [task] = await tasksByIds([id]);
    if (task && isOver(task)) return task;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
