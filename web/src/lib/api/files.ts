import { each, getJson, getPage, pages, send, sendJson, type Page } from './http';
import type { FileIndex, FileRow, TrashedFile } from './types';

export const FILES = '/api/file-server';
export const PAGE = 200;
export const ARCHIVE_LIMIT = 1000;
/** Maximum number of ids in a request that deletes, restores or looks up files. */
export const MANY = 10_000;
const MOVES_AT_ONCE = 4;

export interface FileQuery {
  /** A part of the name or the comment. */
  text: string;
  type: string;
  /** Uploaded within this number of days, including today. */
  since: string;
  /** The first day on which the photo was taken, such as 2026-01-31; `takenTo` is the last. */
  takenFrom: string;
  takenTo: string;
  folder: string;
  /** Empty for uploads and results. */
  origin: '' | 'upload' | 'result';
  /** The id of the results' source file. */
  source: string;
  sort: string;
}

export const SORTS = ['-id', 'id', '-taken_at', 'taken_at', 'name', '-name', '-size', 'size'] as const;

/** Return the filters of a query by their names in the API. */
export function filtersOf(query: Partial<FileQuery>): Record<string, string> {
  const filters: Record<string, string> = {
    q: query.text ?? '',
    media_type: query.type ?? '',
    folder: query.folder ?? '',
    origin: query.origin ?? '',
    source_id: query.source ?? '',
    created_after: query.since ? daysAgo(query.since) : '',
    // Both ends are exclusive.
    taken_after: query.takenFrom ? textOf(new Date(startOf(query.takenFrom, 0).getTime() - 1)) : '',
    taken_before: query.takenTo ? textOf(startOf(query.takenTo, 1)) : '',
  };
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== ''));
}

export function listAddress(query: Partial<FileQuery>, limit = PAGE): string {
  return `${FILES}/?${new URLSearchParams({ limit: String(limit), sort: query.sort ?? '-id', ...filtersOf(query) })}`;
}

export function indexAddress(query: FileQuery): string {
  return `${FILES}/index?${new URLSearchParams({ delta: 'true', sort: query.sort, ...filtersOf(query) })}`;
}

function daysAgo(days: string): string {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  start.setDate(start.getDate() - (Number(days) - 1));
  return textOf(start);
}

/** Return the time as the API expects it; empty if the text in an address was not a time. */
const textOf = (time: Date): string => (Number.isNaN(time.getTime()) ? '' : time.toISOString());

/** Return the start, in local time, of the day that is `later` days after `day`. */
function startOf(day: string, later: number): Date {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  return new Date(year, month - 1, date + later);
}

export const filePage = (address: string, signal: AbortSignal): Promise<Page<FileRow>> => getPage(address, signal);

/** Return the ids and ratios of all files of a list. */
export async function fileIndex(address: string, signal: AbortSignal): Promise<FileIndex> {
  const { deltas, ratios } = await getJson<{ deltas: number[]; ratios: (number | null)[] }>(address, signal);
  let id = 0;
  return { ids: deltas.map((delta) => (id += delta)), ratios };
}

/** Return the folders of all files, from all pages of their list. */
export async function allFolders(): Promise<string[]> {
  const found: string[] = [];
  for await (const { folders } of pages<{ folders: { folder: string }[] }>(`${FILES}/folders`)) {
    found.push(...folders.map(({ folder }) => folder));
  }
  return found;
}

/** Return the newer one of two rows of a file; if they changed in the same second, the one that arrived last. */
export const newer = (known: FileRow | null | undefined, arrived: FileRow): FileRow =>
  known && Date.parse(known.updated_at) > Date.parse(arrived.updated_at) ? known : arrived;

export const getFile = (id: number): Promise<FileRow> => getJson(`${FILES}/${id}`);

export async function lookUp(ids: readonly number[], signal?: AbortSignal): Promise<FileRow[]> {
  const found: FileRow[] = [];
  for (const some of chunks(ids)) {
    found.push(...(await sendJson<{ files: FileRow[] }>('POST', `${FILES}/lookup`, { ids: some }, signal)).files);
  }
  return found;
}

export const changeFile = (id: number, change: { name?: string; comment?: string; folder?: string }): Promise<FileRow> =>
  sendJson('PATCH', `${FILES}/${id}`, change);

/** Move files to a folder, a few at a time, and none after the signal; return the rows of the moved files, the ids of the others, and the error. */
export async function moveFiles(
  ids: readonly number[],
  folder: string,
  onProgress: (done: number) => void,
  signal?: AbortSignal,
): Promise<{ moved: FileRow[]; failed: number[]; error: unknown }> {
  const moved: FileRow[] = [];
  const { failed, error } = await each(ids, MOVES_AT_ONCE, async (id) => {
    // A request that was sent is not aborted: the server may have moved the file already.
    signal?.throwIfAborted();
    moved.push(await changeFile(id, { folder }));
    onProgress(moved.length);
  });
  return { moved, failed, error };
}

export async function deleteFile(id: number): Promise<void> {
  await send(`${FILES}/${id}`, { method: 'DELETE' });
}

/** Delete files; return the ids of those that existed, and whether they can be restored. */
export async function deleteFiles(ids: readonly number[]): Promise<{ ids: number[]; restorable: boolean }> {
  const deleted: number[] = [];
  let restorable = true;
  for (const some of chunks(ids)) {
    let more = true;
    while (more) {
      const answer = await sendJson<Deleted>('POST', `${FILES}/delete`, { ids: some });
      deleted.push(...answer.ids);
      if (answer.ids.length > 0 && answer.restore_until === null) restorable = false;
      more = answer.more;
    }
  }
  return { ids: deleted, restorable };
}

interface Deleted {
  ids: number[];
  more: boolean;
  restore_until: string | null;
}

/** Return how long deleted files can be restored; 0 means not at all. */
export const trashSeconds = async (): Promise<number> => (await getJson<{ trash_seconds: number }>(`${FILES}/stats`)).trash_seconds;

/** Restore files from the trash; return the ids of the restored files. */
export async function restoreFiles(ids: readonly number[]): Promise<number[]> {
  const restored: number[] = [];
  for (const some of chunks(ids)) {
    restored.push(...(await sendJson<{ ids: number[] }>('POST', `${FILES}/restore`, { ids: some })).ids);
  }
  return restored;
}

export const trashAddress = `${FILES}/trash?limit=${PAGE}`;

export const trashPage = (address: string): Promise<Page<TrashedFile>> => getPage(address);

/** Delete files from the trash permanently, without ids all of them; return their number. */
export async function emptyTrash(ids: readonly number[] | null): Promise<number> {
  let removed = 0;
  for (const body of ids === null ? [{}] : [...chunks(ids)].map((some) => ({ ids: some }))) {
    let more = true;
    while (more) {
      const answer = await sendJson<{ removed: number; more: boolean }>('POST', `${FILES}/trash/empty`, body);
      removed += answer.removed;
      more = answer.more;
    }
  }
  return removed;
}

function* chunks(ids: readonly number[]): Generator<readonly number[]> {
  for (let start = 0; start < ids.length; start += MANY) yield ids.slice(start, start + MANY);
}

export const createLink = (id: number, seconds: number): Promise<{ url: string; expires_at: string }> =>
  sendJson('POST', `${FILES}/${id}/links`, { expires_in: seconds });

export const downloadAddress = (id: number): string => `${FILES}/${id}/download`;

export const inlineAddress = (id: number): string => `${FILES}/${id}/download?disposition=inline`;

export const archiveAddress = (ids: readonly number[]): string =>
  `${FILES}/archive?${ids.map((id) => `id=${id}`).join('&')}`;
