/**
 * One stream of events for all tabs of this browser.
 *
 * A browser opens at most six connections to a server without TLS. So one visible tab, the leader, listens to the server and
 * forwards the events. When it is hidden, closed or stuck, another takes over. Without BroadcastChannel, each tab listens itself.
 */

import { connection } from '../state/connection.svelte';

const RETRY_MS = 10_000;
/** How long a tab waits for the leader's answer before it becomes the leader. */
const ANSWER_MS = 40;
const BEAT_MS = 2000;
/** After this time of silence the leader is considered gone, for example because its tab crashed. */
const SILENCE_MS = 7000;

interface Listener<T> {
  onEvent: (event: T) => void;
  /** Called when listening starts or restarts; earlier events may have been missed. */
  onStart: () => void;
  /** Called when events may be missed from now on, until the next start. */
  onLost?: (() => void) | undefined;
}

interface Message {
  kind: 'ask' | 'lead' | 'leave' | 'start' | 'lost' | 'event';
  from: number;
  /** Of two leaders, the one that started earlier stays. */
  since?: number;
  open?: boolean;
  data?: string;
}

export class SharedStream<T> {
  private readonly id = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  private readonly channel: BroadcastChannel | null;
  private readonly listeners = new Set<Listener<T>>();
  private role: 'none' | 'asking' | 'following' | 'leading' = 'none';
  private source: EventSource | null = null;
  /** Whether this tab receives the events, from the server or from the leader. */
  private isLive = false;
  private since = 0;
  private heard = 0;
  private waiting: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private beat: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly address: string,
    private readonly name: string,
  ) {
    this.channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel(`pixmill:${address}`) : null;
    this.channel?.addEventListener('message', ({ data }: MessageEvent<Message>) => this.receive(data));
    // A hidden tab fetches missed changes when it becomes visible again.
    document.addEventListener('visibilitychange', () => (document.hidden ? this.leave() : this.join()));
    addEventListener('pagehide', () => this.leave());
    addEventListener('pageshow', () => this.join());
    connection.onReturn(address, () => this.reopen());
  }

  /** Call `listener` from now on while the tab is visible; return a function that stops listening. */
  listen(listener: Listener<T>): () => void {
    this.listeners.add(listener);
    if (this.role === 'none') this.join();
    else if (this.isLive) queueMicrotask(() => listener.onStart());
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.leave();
    };
  }

  private get isOpen(): boolean {
    return this.source?.readyState === EventSource.OPEN;
  }

  private join(): void {
    if (this.role !== 'none' || document.hidden || this.listeners.size === 0) return;
    this.beat = setInterval(() => this.onBeat(), BEAT_MS);
    this.ask(ANSWER_MS);
  }

  private leave(): void {
    if (this.role === 'leading') this.post({ kind: 'leave' });
    this.role = 'none';
    clearInterval(this.beat);
    clearTimeout(this.waiting);
    this.close();
  }

  private ask(patience: number): void {
    this.role = 'asking';
    this.lost();
    this.post({ kind: 'ask' });
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.lead(), this.channel ? patience : 0);
  }

  private lead(): void {
    this.role = 'leading';
    this.since = Date.now();
    this.post({ kind: 'lead' });
    this.open();
  }

  private onBeat(): void {
    if (this.role === 'leading') this.post({ kind: 'lead' });
    else if (this.role === 'following' && Date.now() - this.heard > SILENCE_MS) this.ask(ANSWER_MS);
  }

  private post(message: Pick<Message, 'kind' | 'data'>): void {
    this.channel?.postMessage({ ...message, from: this.id, since: this.since, open: this.isOpen } satisfies Message);
  }

  private receive({ kind, from, since = 0, open = false, data }: Message): void {
    if (this.role === 'none') return;
    if (kind === 'ask') {
      if (this.role === 'leading') this.post({ kind: 'lead' });
    } else if (kind === 'lead') {
      this.meet(from, since, open);
    } else if (this.role !== 'following') {
      return;
    } else if (kind === 'leave') {
      // Random, so that tabs do not all ask at the same moment.
      this.ask(ANSWER_MS * (1 + Math.random()));
    } else {
      this.heard = Date.now();
      if (kind === 'start') this.started();
      else if (kind === 'lost') this.lost();
      else if (data !== undefined) this.deliver(data);
    }
  }

  /** Handle the message that another tab leads. */
  private meet(from: number, since: number, open: boolean): void {
    this.heard = Date.now();
    if (this.role === 'following') return;
    if (this.role === 'leading') {
      const isOlder = since < this.since || (since === this.since && from < this.id);
      if (!isOlder) {
        this.post({ kind: 'lead' });
        return;
      }
      this.close();
    }
    clearTimeout(this.waiting);
    this.role = 'following';
    if (open) this.started();
    else this.lost();
  }

  private open(): void {
    const source = (this.source = new EventSource(this.address));
    source.addEventListener('open', () => {
      this.post({ kind: 'start' });
      this.started();
    });
    // Browsers reconnect on their own, but not after an error response.
    source.addEventListener('error', () => {
      this.post({ kind: 'lost' });
      this.lost();
      if (source.readyState === EventSource.CLOSED) this.retry = setTimeout(() => this.open(), RETRY_MS);
    });
    source.addEventListener(this.name, (message) => {
      const { data } = message as MessageEvent<string>;
      this.post({ kind: 'event', data });
      this.deliver(data);
    });
  }

  /** Connect now that the server answers again: the next attempt of the browser may be seconds away. */
  private reopen(): void {
    if (this.role !== 'leading' || this.isOpen) return;
    this.close();
    this.open();
  }

  private close(): void {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  private started(): void {
    this.isLive = true;
    for (const { onStart } of this.listeners) onStart();
  }

  private lost(): void {
    this.isLive = false;
    for (const { onLost } of this.listeners) onLost?.();
  }

  private deliver(data: string): void {
    const event = JSON.parse(data) as T;
    for (const { onEvent } of this.listeners) onEvent(event);
  }
}
