/** Runs are the server's batches. The header shows how many go on. */

import { BATCHES, batchPage, createBatch } from '../api/batches';
import type { Work } from '../api/tasks';

const REFRESH_MS = 6000;

class Runs {
  unfinished = $state(0);
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** What was asked last, so that the same request after a lost answer makes no second run. */
  private asked = '';
  private key = '';

  /** Count the runs that go on; ask again while there are any. */
  async look(): Promise<void> {
    clearTimeout(this.timer);
    try {
      if (!document.hidden) {
        const { batches } = await batchPage(`${BATCHES}?limit=20`);
        this.unfinished = batches.filter(({ status }) => status === 'running').length;
      }
    } catch {
      // The bar says that the server is away.
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
