/** Transfer speed in bytes per second over the last few seconds. */

const WINDOW_MS = 5000;
const SAMPLE_MS = 250;

export class Speed {
  private samples: { at: number; bytes: number }[] = [];

  of(bytes: number): number {
    const now = performance.now();
    const latest = this.samples.at(-1);
    if (!latest || now - latest.at > SAMPLE_MS) this.samples.push({ at: now, bytes });
    while (this.samples.length > 2 && now - (this.samples[0]?.at ?? now) > WINDOW_MS) this.samples.shift();
    const first = this.samples[0];
    if (!first || now - first.at < SAMPLE_MS) return 0;
    return Math.max(0, ((bytes - first.bytes) * 1000) / (now - first.at));
  }

  forget(): void {
    this.samples = [];
  }
}
