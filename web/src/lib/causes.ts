import type { Cause, Task } from './api/types';

/** Return whether a task failed for one of the causes: compare the problem's type, and the sentence if causes share the type. */
export function isOf({ type, cause }: Cause, { problem, error = '' }: Task, causes: readonly Cause[]): boolean {
  if ((problem?.type ?? null) !== type) return false;
  if (type !== null && causes.filter((other) => other.type === type).length === 1) return true;
  const parts = cause.split('…').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(problem?.detail ?? error);
}
