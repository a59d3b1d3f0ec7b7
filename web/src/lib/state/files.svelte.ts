/** The list of files that the gallery shows. It stays while another screen is open. */

import { filePage, listAddress, type FileQuery } from '../api/files';
import type { FileRow } from '../api/types';

class FileList {
  items = $state.raw<FileRow[]>([]);
  next = $state.raw<string | null>(null);
  loading = $state(false);
  loaded = $state(false);
  error = $state.raw<unknown>(null);
  /** Where the gallery was scrolled to. */
  scrollTop = 0;
  private address = '';
  private request = new AbortController();

  /** Show the files of a query, unless they are shown already. */
  open(query: FileQuery): void {
    const address = listAddress(query);
    // A time filter has today's date in it, so that the addresses are compared and not the queries.
    if (address === this.address && this.error === null) return;
    this.address = address;
    this.scrollTop = 0;
    this.items = [];
    this.loaded = false;
    void this.load(address, true);
  }

  more(): void {
    if (this.next && !this.loading && this.error === null) void this.load(this.next, false);
  }

  /** Fetch the first page again and keep what is shown until it is here. */
  refresh(): void {
    if (this.address) void this.load(this.address, true);
  }

  changed(file: FileRow): void {
    this.items = this.items.map((item) => (item.id === file.id ? file : item));
  }

  removed(ids: ReadonlySet<number>): void {
    this.items = this.items.filter((item) => !ids.has(item.id));
  }

  neighbor(id: number, step: 1 | -1): FileRow | null {
    const index = this.items.findIndex((item) => item.id === id);
    return index < 0 ? null : (this.items[index + step] ?? null);
  }

  private async load(address: string, first: boolean): Promise<void> {
    this.request.abort();
    const request = (this.request = new AbortController());
    this.loading = true;
    this.error = null;
    try {
      const { files, next } = await filePage(address, request.signal);
      this.items = first ? files : [...this.items, ...files];
      this.next = next;
      this.loaded = true;
    } catch (error) {
      if (request.signal.aborted) return;
      this.error = error;
    }
    if (request === this.request) this.loading = false;
  }
}

export const fileList = new FileList();
