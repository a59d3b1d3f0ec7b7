/** A run as it is now, and as it changes. */

import { getBatch } from '../api/batches';
import { listen } from '../api/events';
import { Problem } from '../api/http';
import type { BatchDetail } from '../api/types';
import { connection } from './connection.svelte';

/** A fast run has hundreds of events a second: ask for the numbers at most this often. */
const ASK_MS = 600;
/** The rate and the time left change without an event, too. */
const IDLE_MS = 5000;

export class Progress {
  batch = $state.raw<BatchDetail | null>(null);
  live = $state(false);
  gone = $state(false);
  error = $state.raw<unknown>(null);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private due = Infinity;

  constructor(private readonly id: number) {}

  /** Follow the run; return a function that stops this. */
  follow(): () => void {
    void this.load();
    const stopListening = listen(
      this.id,
      () => this.loadWithin(ASK_MS),
      () => {
        this.live = true;
        this.loadWithin(0);
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
    try {
      this.batch = await getBatch(this.id);
      this.error = null;
    } catch (caught) {
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
