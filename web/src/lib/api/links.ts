/** Links that need no key: to one file, or to a set of files with a page. */

import { FILES } from './files';
import { getPage, send, sendJson, type Page } from './http';

export const LINKS = `${FILES}/links`;

export interface Link {
  id: number;
  /** Null for a set. */
  file_id: number | null;
  created_at: string;
  expires_at: string;
  note: string;
  /** The number of files visible through the link. */
  file_count: number;
  /** The number of a set's files in the trash, which the link hides. */
  trashed_count: number;
  has_password: boolean;
}

export interface NewLink {
  url: string;
  expires_at: string;
}

export const linkPage = (address: string): Promise<Page<Link>> => getPage(address);

export interface SetRequest {
  file_ids: readonly number[];
  expires_in: number;
  note: string;
  password?: string;
}

export const createSetLink = (request: SetRequest): Promise<NewLink> => sendJson('POST', LINKS, request);

export interface LinkChange {
  note?: string;
  expires_in?: number;
}

export const changeLink = (id: number, change: LinkChange): Promise<unknown> =>
  sendJson('PATCH', `${LINKS}/${id}`, change);

export async function revokeLink(id: number): Promise<void> {
  await send(`${LINKS}/${id}`, { method: 'DELETE' });
}
