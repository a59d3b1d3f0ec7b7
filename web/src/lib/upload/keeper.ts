/** Keeps the uploads of this tab for a reload: the names and folders of all, and as many of their bytes as the limits allow. */

import { session } from '../state/session.svelte';
import { isReadable } from './contents';
import { store, type Entry } from './store';
import { tab } from './tab';
import type { Upload } from './upload.svelte';

/**
 * The browser copies what is kept, so the limits are for the disk's room and its work. Uppy's Golden Retriever keeps files of
 * at most 10 MB, and 300 MB in all. Photographs of cameras are larger; a film is sent in parts and continues anyway if it is
 * chosen again. The bytes in all are far below the smallest quota of a browser, 1 GB.
 */
const FILE_BYTES = 64 * 2 ** 20;
const ALL_BYTES = 512 * 2 ** 20;
/** The maximum of a transaction: the page stays responsive between two of them, and other tabs can use the database. */
const ENTRIES_AT_ONCE = 500;
const FILES_AT_ONCE = 50;
const BYTES_AT_ONCE = 16 * 2 ** 20;

type Kept = 'nothing' | 'being written' | 'entry' | 'bytes';

class Keeper {
  private readonly held = new Map<Upload, Kept>();
  private unwritten: Upload[] = [];
  /** The uploads whose bytes are not kept yet, in the order in which they will be sent. */
  private withoutBytes: Upload[] = [];
  private bytes = 0;
  private writing = false;
  private lastAdded = 0;

  /** Keep uploads, as soon as the page knows whose they are. */
  keep(uploads: readonly Upload[]): void {
    for (const upload of uploads) this.held.set(upload, 'nothing');
    this.unwritten = this.unwritten.concat(uploads);
    void this.write();
  }

  /** Keep the bytes of a file that was chosen again. */
  keepBytes(upload: Upload): void {
    if (this.isWhole(upload)) this.bytes -= upload.size;
    this.held.set(upload, 'entry');
    this.withoutBytes.push(upload);
    void store.mark(new Map([[upload.key, upload.began]]), tab.id);
    void this.write();
  }

  /** Keep uploads no longer: they succeeded, or the user removed them. */
  async forget(uploads: Iterable<Upload>): Promise<void> {
    const keys: string[] = [];
    for (const upload of uploads) {
      const kept = this.held.get(upload) ?? 'nothing';
      if (kept !== 'nothing') keys.push(upload.key);
      if (kept === 'bytes') this.bytes -= upload.size;
      this.held.delete(upload);
    }
    if (keys.length > 0) await store.remove(keys);
    if (this.held.size === 0) tab.rest();
    // There is room for the bytes of others.
    else void this.write();
  }

  /** Note that another tab has adopted the upload. */
  lose(upload: Upload): void {
    if (this.isWhole(upload)) this.bytes -= upload.size;
    this.held.delete(upload);
  }

  /** Leave all uploads in the browser's database, for the next time that their owner signs in. */
  release(): void {
    this.held.clear();
    this.unwritten = this.withoutBytes = [];
    this.bytes = 0;
    tab.rest();
  }

  isWhole(upload: Upload): boolean {
    return this.held.get(upload) === 'bytes';
  }

  /**
   * Return the entries that no open tab has, from now on this tab's, and whether the bytes of each are kept; and whether other
   * tabs have entries.
   */
  async adopt(owner: string): Promise<{ adopted: { entry: Entry; hasBytes: boolean }[]; othersHave: boolean }> {
    const { entries, withBytes, othersHave } = await store.adopt(owner, tab);
    return { adopted: entries.map((entry) => ({ entry, hasBytes: withBytes.has(entry.key) })), othersHave };
  }

  /** Note what is kept of adopted uploads. */
  hold(uploads: readonly { upload: Upload; hasBytes: boolean }[]): void {
    // The last upload of before may have ended since they were adopted.
    tab.work();
    for (const { upload, hasBytes } of uploads) {
      this.held.set(upload, 'entry');
      if (hasBytes) this.noteBytes(upload);
    }
  }

  file(upload: Upload): Promise<File | undefined> {
    return store.file(upload.key);
  }

  /** Note that uploads are sent now; return those that still belong to this tab. */
  async send(uploads: readonly Upload[]): Promise<Upload[]> {
    // Those that are being written too: this transaction follows the other, which may fail.
    const kept = uploads.filter((upload) => (this.held.get(upload) ?? 'nothing') !== 'nothing');
    const written = kept.filter((upload) => this.held.get(upload) !== 'being written');
    if (kept.length === 0) return [...uploads];
    const keys = await store.mark(new Map(kept.map(({ key, began }) => [key, began])), tab.id);
    return uploads.filter((upload) => keys.has(upload.key) || !written.includes(upload));
  }

  /** Write what is not kept yet, if it is known whose it is. */
  async write(): Promise<void> {
    const { owner } = session;
    if (this.writing || owner === undefined) return;
    this.writing = true;
    while ((await this.writeEntries(owner)) || (await this.writeBytes()));
    this.writing = false;
  }

  /** Write some entries; return whether there may be more to write. */
  private async writeEntries(owner: string): Promise<boolean> {
    const some = this.unwritten.slice(0, ENTRIES_AT_ONCE).filter((upload) => this.held.has(upload));
    this.unwritten = this.unwritten.slice(ENTRIES_AT_ONCE);
    if (some.length === 0) return this.unwritten.length > 0;
    tab.work();
    // Before they are written, so that an upload that ends in the meantime is removed afterwards.
    for (const upload of some) this.held.set(upload, 'being written');
    const isWritten = await store.add(some.map((upload) => this.entryOf(upload, owner)));
    for (const upload of some) {
      if (this.held.has(upload)) this.held.set(upload, isWritten ? 'entry' : 'nothing');
    }
    if (isWritten) this.withoutBytes = this.withoutBytes.concat(some);
    return true;
  }

  private async writeBytes(): Promise<boolean> {
    const some = this.nextBytes();
    if (some.length === 0) return false;
    if (!(await store.addFiles(some))) return this.skipUnreadable(some);
    for (const { upload } of some) if (this.held.has(upload)) this.noteBytes(upload);
    return true;
  }

  /** A file that was deleted or changed prevents the others of its transaction: try again without it. */
  private async skipUnreadable(some: readonly { upload: Upload; file: File }[]): Promise<boolean> {
    const readable = await Promise.all(some.map(({ file }) => isReadable(file)));
    const again = some.filter((_, index) => readable[index]).map(({ upload }) => upload);
    // If all can be read, the disk is full.
    const isFull = again.length === some.length;
    this.withoutBytes = isFull ? [] : again.concat(this.withoutBytes);
    return !isFull;
  }

  private noteBytes(upload: Upload): void {
    this.held.set(upload, 'bytes');
    this.bytes += upload.size;
  }

  private nextBytes(): { upload: Upload; key: string; file: File }[] {
    const some: { upload: Upload; key: string; file: File }[] = [];
    let count = 0;
    let size = 0;
    for (const upload of this.withoutBytes) {
      const { file, key } = upload;
      if (file && this.held.has(upload) && file.size <= FILE_BYTES) {
        if (this.bytes + size + file.size > ALL_BYTES) break;
        if (some.length === FILES_AT_ONCE || (size > 0 && size + file.size > BYTES_AT_ONCE)) break;
        some.push({ upload, key, file });
        size += file.size;
      }
      count += 1;
    }
    this.withoutBytes = this.withoutBytes.slice(count);
    return some;
  }

  private entryOf({ key, began, folder, name, size, modified }: Upload, owner: string): Entry {
    this.lastAdded = Math.max(Date.now(), this.lastAdded + 1);
    return { key, owner, tab: tab.id, added: this.lastAdded, sent: began, folder, name, size, modified };
  }
}

export const keeper = new Keeper();
