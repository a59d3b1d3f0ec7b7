/** A list in the order of the ids that is fetched a page at a time. Its first page can be refreshed while others are shown below. */

import type { Page } from '../api/http';

/** A request for rows, with the ids that have been removed since: its answer may still contain them. */
interface Request {
  readonly removed: Set<number>;
}

export class Paged<Row extends { id: number }> {
  rows = $state.raw<readonly Row[] | null>(null);
  next = $state.raw<string | null>(null);
  error = $state.raw<unknown>(null);
  private address = '';
  /** The address of the shown rows, which differs until the first page of another list has arrived. */
  private shown = '';
  /** The latest request for the first page, and the one for a further page: answers of others come too late. */
  private first: Request | null = null;
  private further: Request | null = null;
  private reloading: Promise<void> | null = null;
  /** Whether all shown rows await a reload: it is under way or has failed. */
  private stale = false;
  /** The refresh that waits for the reload. */
  private waiting: Promise<void> | null = null;
  /** The request for the first page that has failed, unless something else has. */
  private failed: Request | null = null;
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
    this.next = null;
    this.further = null;
    this.reloading = null;
    this.stale = false;
    this.again = () => this.fetchFirst(false);
    await this.fetchFirst(false);
  }

  /** Fetch the first page again, and keep the rows of the others. */
  async refresh(): Promise<void> {
    // Instead of the reload, it would leave the further pages as they were, for example in the other language.
    if (this.reloading) await (this.waiting ??= this.refreshLater());
    else if (this.stale) await this.reload();
    else await this.fetchFirst(true);
  }

  /** Fetch all shown pages again, for example in another language. */
  reload = async (): Promise<void> => {
    this.stale = true;
    const reloading = (this.reloading = this.fetchAll());
    await reloading;
    if (reloading === this.reloading) this.reloading = null;
  };

  /** Fetch the next page, unless that is already under way. */
  more = async (): Promise<void> => {
    // The next page would stand below rows in the other language, and hide the error.
    if (this.stale && !this.reloading) await this.reload();
    const { next } = this;
    if (next === null || this.further || (this.stale && !this.reloading)) return;
    const request: Request = (this.further = { removed: new Set() });
    try {
      const page = await this.fetchPage(next);
      if (request !== this.further) return;
      const known = new Set([...request.removed, ...(this.rows ?? []).map(({ id }) => id)]);
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

  /** Fetch the first page again, and also what else failed. */
  async renew(): Promise<void> {
    const again = this.error !== null && this.failed === null ? this.again : null;
    await Promise.all([this.refresh(), again?.()]);
  }

  /** Fetch again what failed, unless a later request is under way: a screen refreshes when the server answers again. */
  retry = async (): Promise<void> => {
    if (this.failed && this.failed !== this.first) return;
    await this.again();
  };

  remove(ids: ReadonlySet<number>): void {
    for (const id of ids) {
      this.first?.removed.add(id);
      this.further?.removed.add(id);
    }
    this.rows = this.rows?.filter(({ id }) => !ids.has(id)) ?? null;
  }

  private askFirst(): Request {
    return (this.first = { removed: new Set() });
  }

  /** Show the rows that a request for the first page has fetched. */
  private place({ removed }: Request, rows: readonly Row[]): void {
    this.rows = rows.filter(({ id }) => !removed.has(id));
    this.shown = this.address;
  }

  private async refreshLater(): Promise<void> {
    while (this.reloading) await this.reloading;
    this.waiting = null;
    await this.refresh();
  }

  private async fetchAll(): Promise<void> {
    const request = this.askFirst();
    const { address } = this;
    try {
      let page = await this.fetchPage(address);
      const rows = [...page.rows];
      while (address === this.shown && rows.length < (this.rows?.length ?? 0) && page.next !== null && request === this.first) {
        page = await this.fetchPage(page.next);
        rows.push(...page.rows);
      }
      if (request !== this.first) return;
      this.stale = false;
      this.place(request, rows);
      this.continueAt(page.next);
      await this.show(rows);
    } catch (caught) {
      if (request === this.first) this.fail(this.reload, caught, request);
    }
  }

  private async fetchFirst(keepsOthers: boolean): Promise<void> {
    const request = this.askFirst();
    try {
      const page = await this.fetchPage(this.address);
      if (request !== this.first) return;
      const below = keepsOthers && this.shown === this.address ? this.rowsBelow(page) : [];
      this.place(request, [...page.rows, ...below]);
      if (below.length === 0) this.continueAt(page.next);
      await this.show(page.rows);
    } catch (caught) {
      if (request === this.first) this.fail(() => (keepsOthers ? this.refresh() : this.fetchFirst(false)), caught, request);
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

  private fail(again: () => Promise<void>, error: unknown, failed: Request | null = null): void {
    this.failed = failed;
    this.again = again;
    this.error = error;
  }
}
