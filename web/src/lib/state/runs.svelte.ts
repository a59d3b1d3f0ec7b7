/** The runs that were started in this browser: which tasks each has, and what its steps were. */

import { createTasks, type Work } from '../api/tasks';
import { keep, kept } from '../storage';

export interface Run {
  /** The id of its first task. */
  id: number;
  created: number;
  work: Work;
  /** Ids of tasks as ranges: the server numbers a batch in one go. */
  ranges: [number, number][];
  done: boolean;
}

const LIMIT = 100;

export function taskIds(run: Run): number[] {
  return run.ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
}

export const taskCount = (run: Run): number => run.ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);

function rangesOf(ids: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] === id - 1) last[1] = id;
    else ranges.push([id, id]);
  }
  return ranges;
}

class Runs {
  list = $state<Run[]>(kept<Run[]>('runs', []));

  constructor() {
    addEventListener('storage', ({ key }) => {
      if (key === 'pixmill.runs') this.list = kept<Run[]>('runs', []);
    });
  }

  get unfinished(): number {
    return this.list.filter((run) => !run.done).length;
  }

  find(id: number): Run | undefined {
    return this.list.find((run) => run.id === id);
  }

  async start(fileIds: readonly number[], work: Work): Promise<Run> {
    const ids = await createTasks(fileIds, work);
    const run: Run = { id: Math.min(...ids), created: Date.now(), work, ranges: rangesOf(ids), done: false };
    this.list = [run, ...this.list].slice(0, LIMIT);
    this.save();
    return run;
  }

  setDone(id: number, done: boolean): void {
    const run = this.find(id);
    if (!run || run.done === done) return;
    run.done = done;
    this.save();
  }

  forget(id: number): void {
    this.list = this.list.filter((run) => run.id !== id);
    this.save();
  }

  private save(): void {
    keep('runs', $state.snapshot(this.list));
  }
}

export const runs = new Runs();
