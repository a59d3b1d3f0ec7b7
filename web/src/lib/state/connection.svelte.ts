/** Whether the server answers; if not, it is polled every few seconds. */

const RETRY_MS = 4000;
/** How long to wait for an answer before asking whether the server is there at all. */
const PATIENCE_MS = 8000;
/** The timeout of this question, which costs the server nothing. */
const ANSWER_MS = 5000;
/** How long the bytes of an upload that the browser has handed over may still fill the line, which the question shares. */
const SENDING_MS = 120_000;

class Connection {
  away = $state(false);
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** When an upload was last seen to send bytes. */
  sending = -Infinity;
  private readonly waiting = new Set<() => void>();
  /** The question of all requests that have no answer yet. */
  private doubt: Promise<boolean> | null = null;

  lost(): void {
    this.away = true;
    this.timer ??= setTimeout(() => void this.ask(), RETRY_MS);
  }

  found(): void {
    if (!this.away) return;
    this.away = false;
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const listener of this.waiting) listener();
  }

  /** Call `listener` each time the server answers again; return a function that removes it. */
  onReturn(listener: () => void): () => void {
    this.waiting.add(listener);
    return () => this.waiting.delete(listener);
  }

  /** Wait until the server answers again. */
  async returned(): Promise<void> {
    if (!this.away) return;
    await new Promise<void>((resolve) => {
      const stop = this.onReturn(() => {
        stop();
        resolve();
      });
    });
  }

  /** Ask now instead of at the next time. */
  async ask(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (await this.isThere()) this.found();
  }

  /**
   * As long as an answer is awaited, ask from time to time whether the server is there: it may accept a connection and never answer.
   * Call `onAway` if it is not. While uploads fill the line, no answer in time means nothing. Return a function that ends this.
   */
  watch(onAway: () => void): () => void {
    let isOver = false;
    const look = async (): Promise<void> => {
      if (Date.now() < this.sending + SENDING_MS) return;
      const isThere = await (this.doubt ??= this.isThere().finally(() => (this.doubt = null)));
      if (!isThere && !isOver) onAway();
    };
    const timer = setInterval(() => void look(), PATIENCE_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }

  /** Ask the server whether it is there; if not, it is asked again until it answers. */
  async isThere(): Promise<boolean> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch('/api/file-server/healthz', { cache: 'no-store', signal }).catch(() => null);
    if (response?.ok) return true;
    this.lost();
    return false;
  }
}

export const connection = new Connection();
