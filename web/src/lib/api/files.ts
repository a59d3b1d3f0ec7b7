import { getJson, nextPage, send, sendJson } from './http';
import type { FileRow } from './types';

export const FILES = '/api/file-server';
export const PAGE = 200;
export const ARCHIVE_LIMIT = 1000;

export interface FileQuery {
  name: string;
  type: string;
  since: string;
  sort: string;
}

export const SORTS = ['-id', 'id', 'name', '-name', '-size', 'size'] as const;

export function listAddress(query: FileQuery): string {
  const params = new URLSearchParams({ limit: String(PAGE), sort: query.sort });
  if (query.name) params.set('name', query.name);
  if (query.type) params.set('media_type', query.type);
  if (query.since) params.set('created_after', daysAgo(query.since));
  return `${FILES}/?${params}`;
}

function daysAgo(days: string): string {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  start.setDate(start.getDate() - (Number(days) - 1));
  return start.toISOString();
}

export async function filePage(address: string, signal: AbortSignal): Promise<{ files: FileRow[]; next: string | null }> {
  const response = await send(address, { signal });
  return { files: (await response.json()) as FileRow[], next: nextPage(response) };
}

export const getFile = (id: number): Promise<FileRow> => getJson(`${FILES}/${id}`);

export async function lookUp(ids: readonly number[]): Promise<FileRow[]> {
  return (await sendJson<{ files: FileRow[] }>('POST', `${FILES}/lookup`, { ids })).files;
}

export const changeFile = (id: number, change: { name?: string; comment?: string }): Promise<FileRow> =>
  sendJson('PATCH', `${FILES}/${id}`, change);

export async function deleteFile(id: number): Promise<void> {
  await send(`${FILES}/${id}`, { method: 'DELETE' });
}

export const createLink = (id: number, seconds: number): Promise<{ url: string; expires_at: string }> =>
  sendJson('POST', `${FILES}/${id}/links`, { expires_in: seconds });

export const downloadAddress = (id: number): string => `${FILES}/${id}/download`;

export const inlineAddress = (id: number): string => `${FILES}/${id}/download?disposition=inline`;

export const archiveAddress = (ids: readonly number[]): string =>
  `${FILES}/archive?${ids.map((id) => `id=${id}`).join('&')}`;
