/** The months in the gallery's list, and the request to scroll to one of them. */

import type { FileQuery } from '../api/files';
import { i18n } from '../i18n/i18n.svelte';
import { monthsOf, type Month } from '../months';
import { fileList } from './files.svelte';

/** Delay, so that visible files are fetched first. */
const WAIT_MS = 400;

export interface MonthPlace extends Month {
  index: number;
}

class Months {
  private found = $state.raw<readonly Month[]>([]);
  /** The index of the file to scroll to. */
  target = $state.raw<{ index: number } | null>(null);

  readonly places = $derived.by<MonthPlace[]>(() => {
    const wanted = new Map(this.found.map((month) => [month.id, month]));
    const places: MonthPlace[] = [];
    if (wanted.size > 0) {
      fileList.ids.forEach((id, index) => {
        const month = wanted.get(id);
        if (month) places.push({ ...month, index });
      });
    }
    // A single month needs no navigation.
    return places.length > 1 ? places : [];
  });

  /** Find the months of a list; return a function that stops the search. */
  find(ids: readonly number[], query: FileQuery): () => void {
    const request = new AbortController();
    this.found = [];
    const timer = setTimeout(() => {
      monthsOf(ids, query, request.signal).then(
        (found) => (this.found = found),
        // The list works without months.
        () => undefined,
      );
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  }

  goTo(index: number): void {
    this.target = { index };
  }
}

export const months = new Months();

/** `2026-11` is “November 2026”. */
export function monthName(month: string, long = true): string {
  const [year = 0, number = 1] = month.split('-').map(Number);
  const options = long ? ({ month: 'long', year: 'numeric' } as const) : ({ month: 'short' } as const);
  return new Intl.DateTimeFormat(i18n.language, options).format(new Date(year, number - 1, 1));
}
