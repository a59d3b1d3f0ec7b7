/** The current state of a run, kept up to date. */

import { getBatch } from '../api/batches';
import { listen } from '../api/events';
import { Problem } from '../api/http';
import type { BatchDetail } from '../api/types';
import { connection } from './connection.svelte';

/** Minimum time between two requests for the numbers, because a fast run has hundreds of events per second. */
const ASK_MS = 600;
/** Refresh interval without events, because the rate and the remaining time change anyway. */
const IDLE_MS = 5000;

export class Progress {
  batch = $state.raw<BatchDetail | null>(null);
  live = $state(false);
  gone = $state(false);
  error = $state.raw<unknown>(null);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private due = Infinity;
  /** The screen that follows the run now: answers for others come too late. */
  private follower: symbol | null = null;

  constructor(private readonly id: number) {}

  /** Follow the run; return a function that stops following. */
  follow(): () => void {
    this.follower = Symbol();
    void this.load();
    const stopListening = listen(
      this.id,
      () => this.loadWithin(ASK_MS),
      () => {
        this.live = true;
        this.loadWithin(0);
      },
      () => (this.live = false),
    );
    const stopWaiting = connection.onReturn(() => void this.load());
    return () => {
      stopListening();
      stopWaiting();
      clearTimeout(this.timer);
      this.due = Infinity;
      this.follower = null;
    };
  }

  async load(): Promise<void> {
    const { follower } = this;
    try {
      const batch = await getBatch(this.id);
      if (!follower || follower !== this.follower) return;
      this.batch = batch;
      this.error = null;
    } catch (caught) {
      if (!follower || follower !== this.follower) return;
      if (caught instanceof Problem && caught.status === 404) this.gone = true;
      else this.error = caught;
    }
    if (this.batch?.status === 'running') this.loadWithin(IDLE_MS);
  }

  private loadWithin(ms: number): void {
    const due = performance.now() + ms;
    if (this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.due = Infinity;
      void this.load();
    }, ms);
  }
}
