/** The content of a link for a set of files. A link needs no key, so 401 asks for its password, not for signing in. */

import { FILES } from './files';
import { jsonOf, sendOnce } from './http';

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

// With JSON, this page asks for the password; otherwise the browser would show its own prompt.
const headers = { Accept: 'application/json', 'Content-Type': 'application/json' };

export async function sharedSet(token: string): Promise<SharedSet> {
  return jsonOf(await sendOnce(`${FILES}/shared/${token}`, { headers }));
}

export async function unlock(token: string, password: string): Promise<void> {
  await sendOnce(`${FILES}/shared/${token}/unlock`, { method: 'POST', headers, body: JSON.stringify({ password }) });
}
