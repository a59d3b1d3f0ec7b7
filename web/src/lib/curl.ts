/** Shows a request as a shell command. */

import { session } from './state/session.svelte';

export interface Request {
  path: string;
  method?: string;
  body?: unknown;
  /** The file name for saving the response. */
  save?: string;
  /** The files to send a separate request for; their ids follow the path. */
  each?: readonly number[];
  /** The fields of a form that uploads a file: `file` is `@` and its path, the others are text. */
  form?: Record<string, string>;
}

export const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Return the URL of the request; curl sends one request for each id in `{12,13}`. */
function addressOf(path: string, each: readonly number[] | undefined): string {
  const address = new URL(path, location.origin).href;
  if (!each) return address;
  return each.length === 1 ? `${address}/${each[0]}` : `${address}/{${each.join(',')}}`;
}

export function curl({ path, method, body, save, each, form }: Request): string {
  const parts = ['curl'];
  if (save) parts.push('-o', quoted(save));
  // With -F, curl would read a file that text such as `<secret` names.
  for (const [name, value] of Object.entries(form ?? {})) {
    parts.push(name === 'file' ? '-F' : '--form-string', quoted(`${name}=${value}`));
  }
  if (method && !(method === 'POST' && (body !== undefined || form))) parts.push('-X', method);
  if (session.who?.mode === 'keys') parts.push('-H', '"Authorization: Bearer $PIXMILL_KEY"');
  if (body !== undefined) parts.push('-H', quoted('Content-Type: application/json'), '-d', quoted(JSON.stringify(body)));
  parts.push(quoted(addressOf(path, each)));
  return parts.join(' ');
}
