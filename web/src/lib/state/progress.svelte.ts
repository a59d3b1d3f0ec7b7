/** The current state of a run, kept up to date. */

import { getBatch } from '../api/batches';
import { listen } from '../api/events';
import { Problem } from '../api/http';
import type { BatchDetail } from '../api/types';
import { connection } from './connection.svelte';
import { session } from './session.svelte';

/** Minimum time between two requests for the numbers, because a fast run has hundreds of events per second. */
const ASK_MS = 600;
/** Refresh interval without events, because the rate and the remaining time change anyway. */
const IDLE_MS = 5000;
/** The timeout of a request: without an answer, no other would follow it. */
const LONGEST_MS = 30_000;

export class Progress {
  batch = $state.raw<BatchDetail | null>(null);
  live = $state(false);
  gone = $state(false);
  error = $state.raw<unknown>(null);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private due = Infinity;
  /** Aborted when the screen follows the run no longer: answers come too late. */
  private following = new AbortController();
  private asking = false;
  /** Whether the numbers may have changed since the request that is under way. */
  private changed = false;

  constructor(private readonly id: number) {}

  /** Follow the run; return a function that stops following. */
  follow(): () => void {
    const following = (this.following = new AbortController());
    this.asking = false;
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
    const stopWaiting = connection.onReturn(this.retry);
    return () => {
      stopListening();
      stopWaiting();
      clearTimeout(this.timer);
      this.due = Infinity;
      following.abort();
    };
  }

  /** Ask after a change. A request that is under way may have missed it, so another one follows that. */
  async load(): Promise<void> {
    if (this.asking) {
      this.changed = true;
      return;
    }
    const { signal } = this.following;
    this.asking = true;
    this.changed = false;
    clearTimeout(this.timer);
    this.due = Infinity;
    try {
      const batch = await getBatch(this.id, AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]));
      if (signal.aborted) return;
      this.batch = batch;
      this.error = null;
    } catch (caught) {
      if (signal.aborted) return;
      if (caught instanceof Problem && caught.status === 404) this.gone = true;
      // The request still waited for the user to sign in.
      else if (session.needsKey) this.changed = true;
      else this.error = caught;
    }
    this.asking = false;
    if (this.changed) this.loadWithin(0);
    else if (this.batch?.status === 'running' && !connection.takesNoTasks) this.loadWithin(IDLE_MS);
  }

  /**
   * Ask again after an error, unless a request is under way. When the server answers again, several callers want the numbers: this
   * class, the message of the error, and the stream of events as soon as it has started again. One request is enough for all.
   */
  readonly retry = (): void => {
    if (this.asking) return;
    if (this.live) void this.load();
    else this.loadWithin(ASK_MS);
  };

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
