/** The current state of a run, kept up to date. */

import { getBatch } from '../api/batches';
import { listen } from '../api/events';
import { Problem } from '../api/http';
import { TASKS } from '../api/tasks';
import type { BatchDetail } from '../api/types';
import { connection } from './connection.svelte';
import { Renewal } from './renewal';
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
  private readonly renewal = new Renewal(() => void this.load());
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
      () => this.renewal.within(ASK_MS),
      () => {
        this.live = true;
        this.renewal.started();
        this.renewal.within(0);
      },
      () => {
        this.live = false;
        this.renewal.lost();
      },
    );
    const stopWaiting = connection.onReturn(TASKS, this.retry);
    return () => {
      stopListening();
      stopWaiting();
      this.renewal.stop();
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
    this.renewal.stop();
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
    if (this.changed) this.renewal.within(0);
    else if (this.batch?.status === 'running' && !connection.takesNoTasks) this.renewal.within(IDLE_MS);
  }

  /**
   * Ask again after an error, unless a request is under way. When the server answers again, several callers want the numbers: this
   * class, the message of the error, and the stream of events as soon as it has started again. One request is enough for all.
   */
  readonly retry = (): void => {
    if (!this.asking) this.renewal.retry(() => void this.load());
  };
}
