import type { Work } from './api/tasks';
import type { Batch, Params, Step, Task } from './api/types';
import { nameOf } from './i18n/catalog.svelte';

/** Return the title of a run's or a task's steps: `Resize → Watermark`. */
export const titleOf = ({ steps }: Pick<Work, 'steps'>): string => steps.map(({ algorithm }) => nameOf(algorithm)).join(' → ');

/** Return a run's name: that of its preset, if it has one. */
export const nameOfRun = (run: Pick<Batch, 'algorithm' | 'params' | 'preset'>): string => run.preset ?? titleOf(workOf(run));

export function workOf(task: Pick<Task, 'algorithm' | 'params'>): Work {
  const { steps, output, ...params } = (task.params ?? {}) as Params & { steps?: Step[]; output?: Params | null };
  if (task.algorithm === 'pipeline') return { steps: steps ?? [], output: output ?? {} };
  return { steps: [{ algorithm: task.algorithm, params }], output: output ?? {} };
}

/** Return the number of tasks of a run that have ended. */
export const overOf = ({ counts }: Pick<Batch, 'counts'>): number => counts.finished + counts.error + counts.cancelled;

/** Return the number of tasks of a run, without forgotten ones. */
export const sizeOf = (run: Pick<Batch, 'counts'>): number => overOf(run) + run.counts.pending + run.counts.processing;
