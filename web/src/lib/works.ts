import type { Work } from './api/tasks';
import type { Batch, Params, Step, Task } from './api/types';
import { nameOf } from './i18n/catalog.svelte';

/** Name what a run or a task does: `Resize → Watermark`. */
export const titleOf = ({ steps }: Pick<Work, 'steps'>): string => steps.map(({ algorithm }) => nameOf(algorithm)).join(' → ');

/** Name a run: by its preset, if it has one. */
export const nameOfRun = (run: Pick<Batch, 'algorithm' | 'params' | 'preset'>): string => run.preset ?? titleOf(workOf(run));

export function workOf(task: Pick<Task, 'algorithm' | 'params'>): Work {
  const { steps, output, ...params } = (task.params ?? {}) as Params & { steps?: Step[]; output?: Params | null };
  if (task.algorithm === 'pipeline') return { steps: steps ?? [], output: output ?? {} };
  return { steps: [{ algorithm: task.algorithm, params }], output: output ?? {} };
}

/** Return how many tasks of a run have ended. */
export const overOf = ({ counts }: Pick<Batch, 'counts'>): number => counts.finished + counts.error + counts.cancelled;

/** Return how many tasks a run has: those that were forgotten do not count. */
export const sizeOf = (run: Pick<Batch, 'counts'>): number => overOf(run) + run.counts.pending + run.counts.processing;
