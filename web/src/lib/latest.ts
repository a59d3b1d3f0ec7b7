/** Parts of the page that are fetched when they are needed. */

import { NoAnswer } from './api/http';
import { connection } from './state/connection.svelte';

/** The part no longer exists, because the server has another version of the page now. */
export class Outdated extends Error {}

/** Fetch a part of the page; throw `Outdated` or a Problem with the reason why this is not possible. */
export async function part<T>(fetchPart: () => Promise<T>): Promise<T> {
  // The error of `import` does not say whether the server is away or has no such part.
  try {
    return await fetchPart();
  } catch {
    if (!(await connection.isThere())) throw new NoAnswer('');
  }
  try {
    return await fetchPart();
  } catch {
    throw new Outdated();
  }
}
