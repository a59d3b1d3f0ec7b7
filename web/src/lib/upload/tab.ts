/** Which tabs of this browser have uploads. Web Locks would say it, but only over HTTPS. */

import { drop, keep, kept, onDrop } from '../storage';
import { randomText } from './random';

const BEAT_MS = 20_000;
/** Browsers call the timers of a hidden tab only once a minute. */
export const SILENCE_MS = 5 * 60_000;
const PREFIX = 'uploads.tab.';
const PAUSED = 'uploads.paused.';

export class Tab {
  readonly id = randomText();
  private beats: ReturnType<typeof setInterval> | undefined;

  constructor() {
    // This storage writes at once; IndexedDB may write nothing more after this event.
    addEventListener('pagehide', () => drop(PREFIX + this.id));
    addEventListener('pageshow', () => this.beats && this.beat());
  }

  /** Show the other tabs that this one is open, until `rest` or until it is closed. */
  work(): void {
    this.beat();
    this.beats ??= setInterval(() => this.beat(), BEAT_MS);
  }

  rest(): void {
    clearInterval(this.beats);
    this.beats = undefined;
    drop(PREFIX + this.id);
  }

  /** Return whether a tab with uploads is open. One that crashed counts as open for a few minutes. */
  isOpen(id: string): boolean {
    const isOpen = Math.abs(Date.now() - kept(PREFIX + id, 0)) < SILENCE_MS;
    if (!isOpen) drop(PREFIX + id);
    return isOpen;
  }

  /** Keep whether the uploads of this tab are paused, for the tab that continues them, such as this one after a reload. */
  keepPaused(paused: boolean): void {
    if (paused) keep(PAUSED + this.id, true);
    else drop(PAUSED + this.id);
  }

  /** Return whether the uploads of any of these tabs were paused; forget it, because another tab has them now. */
  takePaused(ids: ReadonlySet<string>): boolean {
    const paused = [...ids].filter((id) => kept(PAUSED + id, false));
    for (const id of paused) drop(PAUSED + id);
    return paused.length > 0;
  }

  /** Call `listener` each time another tab with uploads is closed. */
  onClose(listener: () => void): void {
    onDrop(PREFIX, listener);
  }

  private beat(): void {
    keep(PREFIX + this.id, Date.now());
  }
}

export const tab = new Tab();
