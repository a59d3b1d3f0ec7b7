/** Runs, called batches on the server. The header shows the number of unfinished runs. */

import { BATCHES, batchPage, createBatch } from '../api/batches';
import type { Work } from '../api/tasks';

const REFRESH_MS = 6000;

class Runs {
  unfinished = $state(0);
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** The last request, so that repeating it after a lost response creates no second run. */
  private asked = '';
  private key = '';

  /** Count the unfinished runs, and repeat while there are any. */
  async look(): Promise<void> {
    clearTimeout(this.timer);
    try {
      if (!document.hidden) {
        const { rows: batches } = await batchPage(`${BATCHES}?limit=20`);
        this.unfinished = batches.filter(({ status }) => status === 'running').length;
      }
    } catch {
      // The connection bar already reports that the server does not answer.
    }
    if (this.unfinished > 0) this.timer = setTimeout(() => void this.look(), REFRESH_MS);
  }

  async start(fileIds: readonly number[], work: Work): Promise<number> {
    const request = JSON.stringify([fileIds, work]);
    if (request !== this.asked) {
      this.asked = request;
      this.key = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('');
    }
    const id = await createBatch(fileIds, work, this.key);
    this.asked = '';
    void this.look();
    return id;
  }
}

export const runs = new Runs();
