/** Finds the start of each month in a long list. */

import { lookUp, type FileQuery } from './api/files';
import type { FileRow } from './api/types';

export interface Month {
  /** Such as 2026-11. */
  month: string;
  /** The first file of the month, in the order of the list. */
  id: number;
}

/** Shorter lists need no months: scrolling is enough. */
const FEWEST = 60;
const PARTS = 64;
const SPLITS = 4;
/** Required precision in files: a month's label marks a row of the gallery, so a few files do not matter. */
const NEAR = 2;

export const isByTime = (sort: string): boolean => /^-?(id|taken_at)$/.test(sort);

function monthOf(file: FileRow, sort: string): string {
  const date = new Date((sort.endsWith('taken_at') ? file.taken_at : null) ?? file.created_at);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}`;
}

/**
 * Return the start of each month in a list that is sorted by time.
 *
 * The index has no times, so some files are looked up, evenly spread, and then more where the month changes between two of them.
 */
export async function monthsOf(ids: readonly number[], { sort }: Pick<FileQuery, 'sort'>, signal: AbortSignal): Promise<Month[]> {
  if (ids.length < FEWEST || !isByTime(sort)) return [];
  const known = new Map<number, string>();
  // Files that were deleted in the meantime are missing from the response.
  const tried = new Set<number>();
  const step = (ids.length - 1) / PARTS;
  let asked = [...new Set(Array.from({ length: PARTS + 1 }, (_, part) => Math.round(part * step)))];
  while (asked.length > 0) {
    for (const index of asked) tried.add(index);
    const places = new Map(asked.map((index) => [ids[index] ?? 0, index]));
    for (const file of await lookUp([...places.keys()], signal)) known.set(places.get(file.id) ?? 0, monthOf(file, sort));
    asked = between(known, tried);
  }
  return [...known]
    .sort(([first], [second]) => first - second)
    .flatMap(([index, month], place, all) => (all[place - 1]?.[1] === month ? [] : [{ month, id: ids[index] ?? 0 }]));
}

function between(known: ReadonlyMap<number, string>, tried: ReadonlySet<number>): number[] {
  const found = [...known].sort(([first], [second]) => first - second);
  return found.flatMap(([end, month], place) => {
    const [start, before] = found[place - 1] ?? [end, month];
    if (month === before || end - start <= NEAR) return [];
    const parts = Math.min(SPLITS, end - start);
    const inside = Array.from({ length: parts - 1 }, (_, part) => start + Math.round(((part + 1) * (end - start)) / parts));
    return inside.filter((index) => !tried.has(index));
  });
}
