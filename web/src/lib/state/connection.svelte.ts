/** Whether the server answers; if not, it is polled every few seconds. */

const RETRY_MS = 4000;

class Connection {
  away = $state(false);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly waiting = new Set<() => void>();

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

  /** Ask the server whether it is there; if not, it is asked again until it answers. */
  async isThere(): Promise<boolean> {
    const response = await fetch('/api/file-server/healthz', { cache: 'no-store' }).catch(() => null);
    if (response?.ok) return true;
    this.lost();
    return false;
  }
}

export const connection = new Connection();
