/** The content of a link for a set of files. A link needs no key, so 401 asks for its password, not for signing in. */

import { connection } from '../state/connection.svelte';
import { FILES } from './files';
import { jsonOf, languageHeader, lost, problemOf } from './http';

export interface SharedFile {
  id: number;
  name: string;
  extension: string;
  size: number;
  media_type: string;
  width: number | null;
  height: number | null;
  download_url: string;
}

export interface SharedSet {
  note: string;
  expires_at: string;
  size: number;
  archive_url: string;
  files: SharedFile[];
}

async function ask(path: string, options: RequestInit): Promise<Response> {
  // With JSON, this page asks for the password; otherwise the browser would show its own prompt.
  const headers = { Accept: 'application/json', 'Content-Type': 'application/json', ...languageHeader() };
  const response = await fetch(path, { ...options, headers }).catch(() => null);
  if (response === null) throw lost();
  connection.found();
  if (response.ok) return response;
  throw await problemOf(response);
}

export async function sharedSet(token: string): Promise<SharedSet> {
  return jsonOf(await ask(`${FILES}/shared/${token}`, {}));
}

export async function unlock(token: string, password: string): Promise<void> {
  await ask(`${FILES}/shared/${token}/unlock`, { method: 'POST', body: JSON.stringify({ password }) });
}
