/** A request as a command of a shell. */

import { session } from './state/session.svelte';

export interface Request {
  path: string;
  method?: string;
  body?: unknown;
  /** Where the answer is saved. */
  save?: string;
}

export const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

export function curl({ path, method, body, save }: Request): string {
  const parts = ['curl'];
  if (save) parts.push('-o', quoted(save));
  if (method && !(method === 'POST' && body !== undefined)) parts.push('-X', method);
  if (session.who?.mode === 'keys') parts.push('-H', '"Authorization: Bearer $PIXMILL_KEY"');
  if (body !== undefined) parts.push('-H', quoted('Content-Type: application/json'), '-d', quoted(JSON.stringify(body)));
  parts.push(quoted(new URL(path, location.origin).href));
  return parts.join(' ');
}
