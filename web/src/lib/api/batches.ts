import { getJson, getPage, jsonOf, pages, send, type Page } from './http';
import { batchBody, IDS, TASKS, type Work } from './tasks';
import type { Batch, BatchDetail, Cause, Task } from './types';

export const BATCHES = `${TASKS}/batches`;

/** Create a batch. The key makes retries safe: after a lost response, no second batch is created. */
export async function createBatch(fileIds: readonly number[], work: Work, key: string): Promise<number> {
  const response = await send(`${TASKS}/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify(batchBody(fileIds, work)),
  });
  return (await jsonOf<{ batch_id: number }>(response)).batch_id;
}

export const batchPage = (address: string): Promise<Page<Batch>> => getPage(address);

export const getBatch = (id: number, signal?: AbortSignal): Promise<BatchDetail> => getJson(`${BATCHES}/${id}`, signal);

/** Delete the ended tasks of a batch, and the batch with its last task. Its files stay. */
export async function forgetBatch(id: number): Promise<void> {
  let more = true;
  while (more) {
    const response = await send(`${BATCHES}/${id}`, { method: 'DELETE' });
    ({ more } = await jsonOf<{ more: boolean }>(response));
  }
}

/** Yield the tasks of a batch that failed for a cause, a page at a time. */
export const tasksOfCause = ({ key }: Cause): AsyncGenerator<Task[]> => pages(`${TASKS}/?cause=${key}&limit=${IDS}`);

/** Yield the tasks of a batch, all or those that have a result, a page at a time. */
export const batchTasks = (id: number, status?: 'finished'): AsyncGenerator<Task[]> =>
  pages(`${TASKS}/?batch_id=${id}${status ? `&status=${status}` : ''}&limit=${IDS}`);
