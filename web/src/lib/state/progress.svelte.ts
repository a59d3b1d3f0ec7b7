/** The tasks of a run, as they are now and as they change. */

import { SvelteMap } from 'svelte/reactivity';
import { listen } from '../api/events';
import { cancelTasks, restartTasks, tasksByIds } from '../api/tasks';
import type { Task, TaskEvent, TaskStatus } from '../api/types';
import { connection } from './connection.svelte';
import { runs, taskIds, type Run } from './runs.svelte';

const STATUSES: readonly TaskStatus[] = ['finished', 'error', 'cancelled', 'processing', 'pending'];
/** Changes are shown together: a fast run has hundreds a second. */
const SHOW_MS = 150;
const RATE_MS = 8000;

export class Progress {
  tasks = $state.raw<ReadonlyMap<number, Task>>(new Map());
  loaded = $state(false);
  live = $state(false);
  rate = $state(0);
  error = $state.raw<unknown>(null);
  readonly counts = new SvelteMap<TaskStatus, number>();
  private readonly ids: number[];
  private readonly known = new Set<number>();
  private readonly found = new Map<number, Task>();
  /** Events that came before their task was fetched. */
  private readonly early = new Map<number, TaskEvent>();
  private ends: number[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly run: Run) {
    this.ids = taskIds(run);
    for (const id of this.ids) this.known.add(id);
  }

  get total(): number {
    return this.ids.length;
  }

  count(status: TaskStatus): number {
    return this.counts.get(status) ?? 0;
  }

  get over(): number {
    return this.count('finished') + this.count('error') + this.count('cancelled');
  }

  get secondsLeft(): number {
    return this.rate > 0 ? (this.total - this.over) / this.rate : 0;
  }

  /** Follow the run; return a function that stops this. */
  follow(): () => void {
    void this.load();
    const stopListening = listen(
      this.ids,
      (event) => this.onEvent(event),
      () => {
        this.live = true;
        if (this.loaded) void this.load();
      },
    );
    const stopWaiting = connection.onReturn(() => void this.load());
    return () => {
      stopListening();
      stopWaiting();
      clearTimeout(this.timer);
    };
  }

  async load(): Promise<void> {
    this.error = null;
    try {
      for (const task of await tasksByIds(this.ids)) {
        const event = this.early.get(task.id);
        this.found.set(task.id, event ? { ...task, ...event } : task);
      }
      this.early.clear();
      this.loaded = true;
      this.show();
    } catch (error) {
      this.error = error;
    }
  }

  withStatus(...statuses: TaskStatus[]): Task[] {
    return [...this.tasks.values()].filter(({ status }) => statuses.includes(status));
  }

  async restart(ids: readonly number[]): Promise<unknown> {
    const { error } = await restartTasks(ids);
    await this.load();
    return error;
  }

  async cancelRest(): Promise<unknown> {
    const { error } = await cancelTasks(this.withStatus('pending', 'processing').map(({ id }) => id));
    await this.load();
    return error;
  }

  private onEvent(event: TaskEvent): void {
    if (!this.known.has(event.id)) return;
    const task = this.found.get(event.id);
    if (!task) {
      this.early.set(event.id, event);
      return;
    }
    this.found.set(event.id, { ...task, ...event });
    if (event.status === 'finished' || event.status === 'error') this.ends.push(performance.now());
    this.timer ??= setTimeout(() => this.show(), SHOW_MS);
    // An event does not say why a task failed.
    if (event.status === 'error') void tasksByIds([event.id]).then(([failed]) => failed && this.found.set(failed.id, failed) && this.show());
  }

  private show(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const now = performance.now();
    this.ends = this.ends.filter((end) => now - end < RATE_MS);
    const since = this.ends[0];
    this.rate = since !== undefined && this.ends.length > 3 ? (this.ends.length * 1000) / Math.max(500, now - since) : 0;
    const counts = new Map<TaskStatus, number>();
    for (const { status } of this.found.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
    for (const status of STATUSES) this.counts.set(status, counts.get(status) ?? 0);
    this.tasks = new Map(this.found);
    if (this.loaded) runs.setDone(this.run.id, this.over >= this.found.size);
  }
}
