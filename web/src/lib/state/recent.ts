/** The pipelines of the most recent runs. */

import { BATCHES, batchPage } from '../api/batches';
import type { Work } from '../api/tasks';
import { workOf } from '../works';

const RUNS = 100;
const SHOWN = 12;

export interface RecentWork {
  work: Work;
  /** The id of the newest run with these steps. */
  run: number;
  at: string;
}

/** Return the distinct pipelines of the newest runs, except those saved as presets. */
export async function recentWorks(saved: readonly Work[]): Promise<RecentWork[]> {
  const known = new Set(saved.map((work) => JSON.stringify(work)));
  const found: RecentWork[] = [];
  for (const batch of (await batchPage(`${BATCHES}?limit=${RUNS}`)).rows) {
    const work = workOf(batch);
    const text = JSON.stringify(work);
    if (batch.preset !== null || known.has(text)) continue;
    known.add(text);
    found.push({ work, run: batch.id, at: batch.created_at });
  }
  return found.slice(0, SHOWN);
}
