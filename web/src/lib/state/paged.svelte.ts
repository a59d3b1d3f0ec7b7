/** A list in the order of the ids that is fetched a page at a time. Its first page can be refreshed while others are shown below. */

import type { Page } from '../api/http';

export class Paged<Row extends { id: number }> {
  rows = $state.raw<readonly Row[] | null>(null);
  next = $state.raw<string | null>(null);
  error = $state.raw<unknown>(null);
  private address = '';
  /** The latest request for the first page, and the one for a further page: answers of others come too late. */
  private first: symbol | null = null;
  private further: symbol | null = null;
  /** Fetches again what failed. */
  private again: () => Promise<void> = () => this.fetchFirst(false);

  constructor(
    private readonly fetchPage: (address: string) => Promise<Page<Row>>,
    /** Called with each fetched page. */
    private readonly onRows: (rows: readonly Row[]) => Promise<void> | void = () => undefined,
  ) {}

  /** Show the first page of a list, instead of what is shown. */
  async open(address: string): Promise<void> {
    this.address = address;
    this.further = null;
    await this.fetchFirst(false);
  }

  /** Fetch the first page again, and keep the rows of the others. */
  async refresh(): Promise<void> {
    await this.fetchFirst(true);
  }

  /** Fetch all shown pages again, for example in another language. */
  reload = async (): Promise<void> => {
    const request = (this.first = Symbol());
    try {
      let page = await this.fetchPage(this.address);
      const rows = [...page.rows];
      while (rows.length < (this.rows?.length ?? 0) && page.next !== null && request === this.first) {
        page = await this.fetchPage(page.next);
        rows.push(...page.rows);
      }
      if (request !== this.first) return;
      this.rows = rows;
      this.continueAt(page.next);
      await this.show(rows);
    } catch (caught) {
      if (request === this.first) this.fail(this.reload, caught);
    }
  };

  /** Fetch the next page, unless that is already under way. */
  more = async (): Promise<void> => {
    const { next } = this;
    if (next === null || this.further) return;
    const request = (this.further = Symbol());
    try {
      const page = await this.fetchPage(next);
      if (request !== this.further) return;
      const known = new Set(this.rows?.map(({ id }) => id));
      this.rows = [...(this.rows ?? []), ...page.rows.filter(({ id }) => !known.has(id))];
      this.next = page.next;
      this.further = null;
      await this.show(page.rows);
    } catch (caught) {
      if (request !== this.further) return;
      this.further = null;
      this.fail(this.more, caught);
    }
  };

  /** Fetch again what failed. */
  retry = async (): Promise<void> => {
    await this.again();
  };

  remove(ids: ReadonlySet<number>): void {
    this.rows = this.rows?.filter(({ id }) => !ids.has(id)) ?? null;
  }

  private async fetchFirst(keepsOthers: boolean): Promise<void> {
    const request = (this.first = Symbol());
    try {
      const page = await this.fetchPage(this.address);
      if (request !== this.first) return;
      const below = keepsOthers ? this.rowsBelow(page) : [];
      this.rows = [...page.rows, ...below];
      if (below.length === 0) this.continueAt(page.next);
      await this.show(page.rows);
    } catch (caught) {
      if (request === this.first) this.fail(() => this.fetchFirst(keepsOthers), caught);
    }
  }

  /** Let the next page follow the rows that are shown now; if one was asked for meanwhile, it may not, so ask again. */
  private continueAt(next: string | null): void {
    const asked = this.further !== null;
    this.further = null;
    this.next = next;
    if (asked) void this.more();
  }

  /** Return the shown rows of the pages that follow a new first page; none if rows between them are unknown. */
  private rowsBelow({ rows, next }: Page<Row>): readonly Row[] {
    const [first, last] = [rows[0], rows.at(-1)];
    const known = new Set(rows.map(({ id }) => id));
    if (next === null || !first || !last || !this.rows?.some(({ id }) => known.has(id))) return [];
    const order = Math.sign(last.id - first.id);
    return this.rows.filter(({ id }) => Math.sign(id - last.id) === order);
  }

  private async show(rows: readonly Row[]): Promise<void> {
    this.error = null;
    try {
      await this.onRows(rows);
    } catch (caught) {
      this.fail(() => this.show(rows), caught);
    }
  }

  private fail(again: () => Promise<void>, error: unknown): void {
    this.again = again;
    this.error = error;
  }
}
