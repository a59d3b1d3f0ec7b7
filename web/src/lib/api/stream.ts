/**
 * One stream of events for all tabs of this browser.
 *
 * A browser opens at most six connections to a server without TLS. So one visible tab, the leader, listens to the server and
 * passes the events on. When it is hidden, closed or stuck, another takes over. Without BroadcastChannel each tab listens for itself.
 */

const RETRY_MS = 10_000;
/** How long a tab waits for a leader to answer before it leads. */
const ANSWER_MS = 40;
const BEAT_MS = 2000;
/** A leader that is silent for so long is gone: its tab crashed, for example. */
const SILENCE_MS = 7000;

interface Listener<T> {
  onEvent: (event: T) => void;
  /** Listening begins, for the first time or again: what happened before may be missing. */
  onStart: () => void;
}

interface Message {
  kind: 'ask' | 'lead' | 'leave' | 'start' | 'event';
  from: number;
  /** Of two leaders the one that leads longer stays. */
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
    // A hidden tab fetches what it missed when it is looked at again.
    document.addEventListener('visibilitychange', () => (document.hidden ? this.leave() : this.join()));
    addEventListener('pagehide', () => this.leave());
    addEventListener('pageshow', () => this.join());
  }

  /** Call `listener` from now on, while the tab is visible; return a function that stops this. */
  listen(listener: Listener<T>): () => void {
    this.listeners.add(listener);
    if (this.role === 'none') this.join();
    else if (this.role === 'following' || this.isOpen) queueMicrotask(() => listener.onStart());
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
      // Not all at the same moment.
      this.ask(ANSWER_MS * (1 + Math.random()));
    } else {
      this.heard = Date.now();
      if (kind === 'start') this.started();
      else if (data !== undefined) this.tell(data);
    }
  }

  /** Another tab leads. */
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
  }

  private open(): void {
    const source = (this.source = new EventSource(this.address));
    source.addEventListener('open', () => {
      this.post({ kind: 'start' });
      this.started();
    });
    // A browser connects again by itself, but not after an answer that is a problem.
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) this.retry = setTimeout(() => this.open(), RETRY_MS);
    });
    source.addEventListener(this.name, (message) => {
      const { data } = message as MessageEvent<string>;
      this.post({ kind: 'event', data });
      this.tell(data);
    });
  }

  private close(): void {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  private started(): void {
    for (const { onStart } of this.listeners) onStart();
  }

  private tell(data: string): void {
    const event = JSON.parse(data) as T;
    for (const { onEvent } of this.listeners) onEvent(event);
  }
}
