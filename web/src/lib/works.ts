import type { Work } from './api/tasks';
import type { Params, Step, Task } from './api/types';
import { nameOf } from './i18n/catalog.svelte';

/** Name what a run or a task does: `Resize → Watermark`. */
export const titleOf = ({ steps }: Pick<Work, 'steps'>): string => steps.map(({ algorithm }) => nameOf(algorithm)).join(' → ');

export function workOf(task: Task): Work {
  const { steps, output, ...params } = (task.params ?? {}) as Params & { steps?: Step[]; output?: Params | null };
  if (task.algorithm === 'pipeline') return { steps: steps ?? [], output: output ?? {} };
  return { steps: [{ algorithm: task.algorithm, params }], output: output ?? {} };
}
