/** When to fetch again what events report, such as a list: several reasons at once make one request. */

/** How long to wait, when the server answers again, for the events to begin again: what is fetched before may miss a change. */
const BEGIN_MS = 600;

export class Renewal {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private due = Infinity;
  private isLive = false;

  constructor(private readonly renew: () => void) {}

  /** Fetch within this time. */
  within(ms: number): void {
    const due = performance.now() + ms;
    if (this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.due = Infinity;
      this.renew();
    }, ms);
  }

  /** Note that what this would fetch is being fetched now. */
  stop(): void {
    clearTimeout(this.timer);
    this.due = Infinity;
  }

  /** Note that events begin. */
  started(): void {
    this.isLive = true;
  }

  /** Note that events may be missed from now on. */
  lost(): void {
    this.isLive = false;
  }

  /**
   * Fetch again after an outage or an error, by calling `again`. Without events, they are about to begin again, which renews
   * everything; if they do not, renew without them.
   */
  retry(again: () => void): void {
    if (this.isLive) again();
    else this.within(BEGIN_MS);
  }
}
