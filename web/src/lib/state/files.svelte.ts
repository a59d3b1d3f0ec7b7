/**
 * The gallery's list of files: the ids of all files and the rows of the visible ones. It is kept while
 * another screen is open, and follows changes on the server.
 */

import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { listenToFiles } from '../api/events';
import { allFolders, fileIndex, indexAddress, lookUp, newer, type FileQuery } from '../api/files';
import type { FileEvent, FileRow } from '../api/types';
import { router } from '../router.svelte';
import { Renewal } from './renewal';
import { selection } from './selection.svelte';

/** Delay before fetching rows, so that files are skipped while the scroll bar is dragged past them. */
const ROWS_MS = 60;
const ROWS_KEPT = 4000;
/** Interval for showing changes together: a run has hundreds per second. */
const SHOW_MS = 200;
const REFRESH_MS = 2000;
/** How long to wait for the event stream before fetching the list; the stream comes first so that no change is missed. */
const LISTEN_MS = 250;

class FileList {
  ids = $state.raw<readonly number[]>([]);
  /** Width divided by height of each image, in the order of the ids. */
  ratios = $state.raw<readonly (number | null)[]>([]);
  readonly rows = new SvelteMap<number, FileRow>();
  /** The folders of all files, including those that have appeared since. */
  readonly folders = new SvelteSet<string>();
  /** The files that the newest results on the server were made from. */
  sources = $state.raw<ReadonlySet<number>>(new Set());
  loading = $state(false);
  loaded = $state(false);
  /** The ids when the list was opened. */
  opened = $state.raw<readonly number[]>([]);
  /** Kept until what failed has succeeded: the button that tries again must not disappear under the user's hand. */
  error = $state.raw<unknown>(null);
  private rowsFailed = false;
  /** The scroll position of the gallery. */
  scrollTop = 0;
  /** The file that has the keyboard's place in the gallery. */
  activeId: number | null = null;
  private query: FileQuery | null = null;
  private address = '';
  private request = new AbortController();
  private listening: Promise<void> | null = null;
  private wanted: readonly number[] = [];
  /** The files whose rows are being fetched, with their requests. */
  private readonly asked = new Map<number, AbortController>();
  private rowsTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly events = new Map<number, FileEvent>();
  private showTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly renewal = new Renewal(() => this.refresh());

  /** Listen to changes on the server from now on. */
  follow(): Promise<void> {
    return (this.listening ??= this.listen());
  }

  /** Show the files of a query, unless they are already shown. */
  open(query: FileQuery): void {
    // Until the screen of a file has loaded, the gallery is shown with the address of the file, which has no filters.
    if (router.screen !== 'files') return;
    const address = indexAddress(query);
    // Compare addresses instead of queries, because a time filter depends on today's date.
    if (address === this.address && this.error === null) return;
    this.query = query;
    this.address = address;
    this.error = null;
    this.rowsFailed = false;
    this.scrollTop = 0;
    this.activeId = null;
    this.ids = [];
    this.ratios = [];
    this.loaded = false;
    this.opened = [];
    void this.load(address);
  }

  /** Fetch the list again, and keep showing the old one until it arrives. */
  refresh(): void {
    if (this.address) void this.load(this.address);
  }

  /** Fetch again after an outage or an error, unless that is already under way. */
  readonly retry = (): void => this.renewal.retry(() => this.loading || (this.error !== null && this.refresh()));

  changed(file: FileRow): void {
    this.know(file);
  }

  removed(ids: ReadonlySet<number>): void {
    const kept = this.ids.map((id) => !ids.has(id));
    this.ratios = this.ratios.filter((_, index) => kept[index]);
    this.ids = this.ids.filter((_, index) => kept[index]);
    for (const id of ids) this.rows.delete(id);
  }

  neighbor(id: number, step: 1 | -1): number | null {
    const index = this.ids.indexOf(id);
    return index < 0 ? null : (this.ids[index + step] ?? null);
  }

  /** Fetch the rows of files that came into view. */
  want(ids: readonly number[]): void {
    this.wanted = ids.filter((id) => !this.rows.has(id));
    this.stopPassed(ids);
    if (this.wanted.length === 0) return;
    this.rowsTimer ??= setTimeout(() => void this.fetchRows(), this.rows.size === 0 ? 0 : ROWS_MS);
  }

  private async load(address: string): Promise<void> {
    this.request.abort();
    const request = (this.request = new AbortController());
    this.loading = true;
    this.renewal.stop();
    await this.follow();
    if (request.signal.aborted) return;
    try {
      const { ids, ratios } = await fileIndex(address, request.signal);
      this.dropGone(ids);
      this.ids = ids;
      this.ratios = ratios;
      if (!this.loaded) this.opened = ids;
      this.loaded = true;
      if (!this.rowsFailed) this.error = null;
      void this.readFolders();
    } catch (error) {
      if (request.signal.aborted) return;
      this.error = error;
    }
    if (request === this.request) this.loading = false;
  }

  /** Deselect the files that a newer list no longer has: nobody would see that they are selected. */
  private dropGone(ids: readonly number[]): void {
    if (selection.size === 0) return;
    const kept = new Set(ids);
    selection.drop(this.ids.filter((id) => !kept.has(id)));
  }

  private async fetchRows(): Promise<void> {
    this.rowsTimer = undefined;
    const ids = this.wanted.filter((id) => !this.rows.has(id) && !this.asked.has(id));
    if (ids.length === 0) return;
    const request = new AbortController();
    for (const id of ids) this.asked.set(id, request);
    try {
      const missing = new Set(ids);
      for (const file of await lookUp(ids, request.signal)) {
        missing.delete(file.id);
        this.know(file);
      }
      if (missing.size > 0) {
        this.removed(missing);
        selection.drop(missing);
      }
      this.forgetSome(ids);
      if (this.rowsFailed) this.error = null;
      this.rowsFailed = false;
    } catch (error) {
      if (!request.signal.aborted) {
        this.error = error;
        this.rowsFailed = true;
      }
    }
    this.forgetRequest(request);
  }

  /** Abort requests whose files are all out of view. */
  private stopPassed(shown: readonly number[]): void {
    const needed = new Set(shown.map((id) => this.asked.get(id)));
    for (const request of new Set(this.asked.values())) {
      if (needed.has(request)) continue;
      request.abort();
      this.forgetRequest(request);
    }
  }

  private forgetRequest(request: AbortController): void {
    for (const [id, by] of this.asked) if (by === request) this.asked.delete(id);
  }

  private async readFolders(): Promise<void> {
    try {
      const found = new Set(await allFolders());
      for (const folder of [...this.folders]) if (!found.has(folder)) this.folders.delete(folder);
      for (const folder of found) this.folders.add(folder);
    } catch {
      // Show the files anyway, with the folders of the visible ones.
    }
  }

  /** Keep a row, unless a newer one of the file has overtaken it; return the row that is kept. */
  private know(arrived: FileRow): FileRow {
    const file = newer(this.rows.get(arrived.id), arrived);
    this.rows.set(file.id, file);
    if (file.folder) this.folders.add(file.folder);
    return file;
  }

  private forgetSome(shown: readonly number[]): void {
    let extra = this.rows.size - ROWS_KEPT;
    if (extra <= 0) return;
    const kept = new Set(shown);
    for (const id of [...this.rows.keys()]) {
      if (extra-- <= 0) return;
      if (!kept.has(id)) this.rows.delete(id);
    }
  }

  private listen(): Promise<void> {
    return new Promise((resolve) => {
      let isFirst = true;
      listenToFiles(
        (event) => {
          this.events.set(event.id, event);
          this.showTimer ??= setTimeout(() => this.show(), SHOW_MS);
        },
        () => {
          this.renewal.started();
          if (!isFirst) this.renewal.within(0);
          isFirst = false;
          resolve();
        },
        () => this.renewal.lost(),
      );
      setTimeout(() => {
        isFirst = false;
        resolve();
      }, LISTEN_MS);
    });
  }

  /** Show the changes on the server since the last call. */
  private show(): void {
    this.showTimer = undefined;
    if (this.loading) {
      this.showTimer = setTimeout(() => this.show(), SHOW_MS);
      return;
    }
    const known = new Set(this.ids);
    const gone = new Set<number>();
    const fresh: FileRow[] = [];
    const sources = new Set<number>();
    for (const { id, change, file } of this.events.values()) {
      if (change === 'created' && file?.source_id) sources.add(file.source_id);
      if (change === 'deleted' || !file) {
        gone.add(id);
      } else if (known.has(id)) {
        if (!this.fits(this.know(file))) gone.add(id);
      } else if (this.fits(file)) {
        fresh.push(file);
      }
    }
    this.events.clear();
    if (sources.size > 0) this.sources = sources;
    if (gone.size > 0) {
      this.removed(gone);
      selection.drop(gone);
    }
    if (fresh.length > 0 && !this.insert(fresh)) this.renewal.within(REFRESH_MS);
  }

  /** Whether the file may belong to the list; only the server can check text and time filters. */
  private fits(file: FileRow): boolean {
    const { type, origin, folder, source } = this.query ?? { type: '', origin: '', folder: '', source: '' };
    const isOfType = type === '' || (type.endsWith('/*') ? file.media_type.startsWith(type.slice(0, -1)) : file.media_type === type);
    const isInside = folder === '' || `${file.folder ?? ''}/`.startsWith(`${folder}/`);
    return isOfType && isInside && (origin === '' || file.origin === origin) && (source === '' || file.source_id === Number(source));
  }

  /** Insert new files at their end of the list; return false if only the server knows their position. */
  private insert(files: FileRow[]): boolean {
    const { sort, text, since, takenFrom, takenTo } = this.query ?? { sort: '', text: '', since: '', takenFrom: '', takenTo: '' };
    const isDescending = sort === '-id';
    const newest = (isDescending ? this.ids[0] : this.ids.at(-1)) ?? 0;
    if (!(isDescending || sort === 'id') || text || since || takenFrom || takenTo || files.some(({ id }) => id <= newest)) return false;
    files.sort((a, b) => (isDescending ? b.id - a.id : a.id - b.id));
    const ids = files.map(({ id }) => id);
    const ratios = files.map(({ width, height }) => (width && height ? width / height : null));
    for (const file of files) this.know(file);
    this.ratios = isDescending ? [...ratios, ...this.ratios] : [...this.ratios, ...ratios];
    this.ids = isDescending ? [...ids, ...this.ids] : [...this.ids, ...ids];
    return true;
  }
}

export const fileList = new FileList();
