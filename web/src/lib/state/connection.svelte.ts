/** Whether the services answer; one that does not is asked every few seconds. */

const RETRY_MS = 4000;
/** How long to wait for an answer before asking whether the service is there at all. */
const PATIENCE_MS = 8000;
/** The timeout of this question, which costs the service nothing. */
const ANSWER_MS = 5000;
/** How long the bytes of an upload that the browser has handed over may still fill the line, which the question shares. */
const SENDING_MS = 120_000;

/** It also answers for the session. */
const FILE_SERVICE = '/api/file-server';
const IMAGE_SERVICE = '/api/image-processing';
type Service = typeof FILE_SERVICE | typeof IMAGE_SERVICE;

const serviceOf = (path: string): Service => (path.includes(IMAGE_SERVICE) ? IMAGE_SERVICE : FILE_SERVICE);

class Connection {
  /** Whether each service answers; null from when the other one is lost until it was asked too. */
  private answers = $state.raw<Record<Service, boolean | null>>({ [FILE_SERVICE]: true, [IMAGE_SERVICE]: true });
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** When an upload was last seen to send bytes. */
  sending = -Infinity;
  private readonly waiting = new Set<{ service: Service; listener: () => void }>();
  /** The questions of all requests that have no answer yet. */
  private readonly doubts = new Map<Service, Promise<boolean>>();

  /** Whether a service does not answer. */
  get away(): boolean {
    return Object.values(this.answers).includes(false);
  }

  /** Whether the service that stores files does not answer. */
  get takesNoFiles(): boolean {
    return this.answers[FILE_SERVICE] === false;
  }

  /** Whether the service that processes images does not answer. */
  get takesNoTasks(): boolean {
    return this.answers[IMAGE_SERVICE] === false;
  }

  /** The name of the sentence that says what does not answer, and what does if that is known. */
  get silence(): 'noAnswer' | 'filesAway' | 'processingAway' {
    if (this.answers[FILE_SERVICE]) return 'processingAway';
    return this.answers[IMAGE_SERVICE] ? 'filesAway' : 'noAnswer';
  }

  /** Whether uploads may fill the line, so that an answer in no time means nothing. */
  get isFull(): boolean {
    return Date.now() < this.sending + SENDING_MS;
  }

  /** Note that the service of a path does not answer. */
  lost(path = ''): void {
    const service = serviceOf(path);
    const other = service === FILE_SERVICE ? IMAGE_SERVICE : FILE_SERVICE;
    if (this.answers[service] !== false) {
      const others = this.answers[other];
      this.answers = { ...this.answers, [service]: false, [other]: others && null };
      if (others) void this.check(other);
    }
    this.timer ??= setTimeout(() => void this.ask(), RETRY_MS);
  }

  /** Note that the service of a path answers. */
  found(path: string): void {
    const service = serviceOf(path);
    const before = this.answers[service];
    if (before) return;
    this.answers = { ...this.answers, [service]: true };
    if (before === null) return;
    if (!this.away) {
      clearTimeout(this.timer);
      this.timer = undefined;
    }
    for (const waiting of this.waiting) if (waiting.service === service) waiting.listener();
  }

  /** Call `listener` each time the service of a path answers again; return a function that removes it. */
  onReturn(path: string, listener: () => void): () => void {
    // The services return one after the other: the return of the other one would be a second reason to ask.
    const waiting = { service: serviceOf(path), listener };
    this.waiting.add(waiting);
    return () => this.waiting.delete(waiting);
  }

  /** Wait until the service of a path answers again. */
  async returned(path: string): Promise<void> {
    if (this.answers[serviceOf(path)] !== false) return;
    await new Promise<void>((resolve) => {
      const stop = this.onReturn(path, () => {
        stop();
        resolve();
      });
    });
  }

  /** Ask now instead of at the next time. */
  async ask(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await Promise.all([this.check(FILE_SERVICE), this.check(IMAGE_SERVICE)]);
  }

  /**
   * As long as an answer is awaited, ask from time to time whether its service is there: it may accept a connection and never answer.
   * Call `onAway` if it is not. Return a function that ends this.
   */
  watch(path: string, onAway: () => void): () => void {
    const service = serviceOf(path);
    let isOver = false;
    const look = async (): Promise<void> => {
      if (this.isFull) return;
      const doubt = this.doubts.get(service) ?? this.isThere(service).finally(() => this.doubts.delete(service));
      this.doubts.set(service, doubt);
      if (!(await doubt) && !isOver) onAway();
    };
    const timer = setInterval(() => void look(), PATIENCE_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }

  /** Ask the service of a path whether it is there; if not, it is asked again until it answers. */
  async isThere(path = ''): Promise<boolean> {
    const service = serviceOf(path);
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(`${service}/healthz`, { cache: 'no-store', signal }).catch(() => null);
    if (response?.ok) return true;
    this.lost(service);
    return false;
  }

  private async check(service: Service): Promise<void> {
    if (await this.isThere(service)) this.found(service);
  }
}

export const connection = new Connection();
