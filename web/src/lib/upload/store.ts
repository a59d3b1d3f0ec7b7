/** The uploads that the browser keeps over a reload, in IndexedDB. Without it, for example in a private window, nothing is kept. */

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { Tab } from './tab';

export interface Entry {
  /** The idempotency key: with it the server recognizes a file whose response was lost. */
  key: string;
  owner: string;
  /** The tab that uploads it. */
  tab: string;
  /** When it was added, in milliseconds; no two entries of a tab have the same time. */
  added: number;
  /** When its first request began, in milliseconds; if it is resumable, the last one. */
  sent: number | null;
  folder: string;
  name: string;
  size: number;
  modified: number;
}

interface Schema extends DBSchema {
  entries: { key: string; value: Entry };
  // Apart from the entries, so that a list of them reads no files.
  files: { key: string; value: File };
}

const PORTION = 500;
const DAY_MS = 24 * 60 * 60 * 1000;
/** The server keeps idempotency keys and unfinished uploads for a day: later a retry could store a file twice. */
export const SENT_MS = DAY_MS;
const UNSENT_MS = 7 * DAY_MS;

/** Return the items in portions: the page stays responsive between two of them. */
function* portions<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += PORTION) yield items.slice(start, start + PORTION);
}

/** Open the database. As this function is asynchronous, it rejects where `indexedDB.open` throws at once. */
async function open(): Promise<IDBPDatabase<Schema>> {
  return openDB<Schema>('pixmill', 1, {
    upgrade(database) {
      database.createObjectStore('entries', { keyPath: 'key' });
      database.createObjectStore('files');
    },
  });
}

class UploadStore {
  private opened: Promise<IDBPDatabase<Schema> | null> | undefined;

  private get database(): Promise<IDBPDatabase<Schema> | null> {
    this.opened ??= open().catch(() => null);
    return this.opened;
  }

  /** Keep entries; return whether that was possible. */
  async add(entries: readonly Entry[]): Promise<boolean> {
    return this.attempt(false, async (database) => {
      const { store: rows, done } = database.transaction('entries', 'readwrite');
      await Promise.all([...entries.map((entry) => rows.put(entry)), done]);
      return true;
    });
  }

  /** Keep the bytes of files whose entries are kept; return whether that was possible, for example because there is room. */
  async addFiles(files: readonly { key: string; file: File }[]): Promise<boolean> {
    return this.attempt(false, async (database) => {
      const transaction = database.transaction(['entries', 'files'], 'readwrite');
      const put = async ({ key, file }: { key: string; file: File }): Promise<void> => {
        // The upload may have succeeded in the meantime.
        if (await transaction.objectStore('entries').getKey(key)) await transaction.objectStore('files').put(file, key);
      };
      await Promise.all([...files.map(put), transaction.done]);
      return true;
    });
  }

  /**
   * Assign an owner's entries to a tab, except those of other open tabs, and remove old ones of all owners.
   * Return the entries of the tab, oldest first, each still with its earlier tab, the keys of the files that are kept, and whether
   * other tabs have entries.
   */
  async adopt(owner: string, tab: Tab): Promise<{ entries: Entry[]; withBytes: ReadonlySet<string>; othersHave: boolean }> {
    const nothing = { entries: [], withBytes: new Set<string>(), othersHave: false };
    return this.attempt(nothing, async (database) => {
      const transaction = database.transaction(['entries', 'files'], 'readwrite');
      const [entries, files] = [transaction.objectStore('entries'), transaction.objectStore('files')];
      const now = Date.now();
      const mine: Entry[] = [];
      const old: string[] = [];
      const adopted: Entry[] = [];
      let othersHave = false;
      for (const entry of await entries.getAll()) {
        if (entry.tab === tab.id) {
          if (entry.owner === owner) mine.push(entry);
        } else if (tab.isOpen(entry.tab)) {
          othersHave ||= entry.owner === owner;
        } else {
          if (entry.sent === null ? now - entry.added > UNSENT_MS : now - entry.sent > SENT_MS) old.push(entry.key);
          else if (entry.owner === owner) adopted.push(entry);
        }
      }
      const all = mine.concat(adopted);
      // Before this transaction ends, so that no other tab adopts them from this one.
      if (all.length > 0) tab.work();
      const withBytes = new Set(all.length > 0 ? await files.getAllKeys() : []);
      for (const some of portions(adopted)) await Promise.all(some.map((entry) => entries.put({ ...entry, tab: tab.id })));
      for (const some of portions(old)) await Promise.all(some.flatMap((key) => [entries.delete(key), files.delete(key)]));
      await transaction.done;
      return { entries: all.sort((a, b) => a.added - b.added), withBytes, othersHave };
    });
  }

  /** Note when entries were sent; return the keys of those that still belong to the tab: another one may have adopted them. */
  async mark(times: ReadonlyMap<string, number | null>, tab: string): Promise<ReadonlySet<string>> {
    return this.attempt(new Set(times.keys()), async (database) => {
      const { store: rows, done } = database.transaction('entries', 'readwrite');
      const found = await Promise.all([...times].map(async ([key, sent]) => ({ entry: await rows.get(key), sent })));
      const mine = found.flatMap(({ entry, sent }) => (entry?.tab === tab ? [{ ...entry, sent }] : []));
      await Promise.all([...mine.map((entry) => rows.put(entry)), done]);
      return new Set(mine.map(({ key }) => key));
    });
  }

  async file(key: string): Promise<File | undefined> {
    return this.attempt(undefined, (database) => database.get('files', key));
  }

  async remove(keys: readonly string[]): Promise<void> {
    await this.attempt(undefined, async (database) => {
      const transaction = database.transaction(['entries', 'files'], 'readwrite');
      const [entries, files] = [transaction.objectStore('entries'), transaction.objectStore('files')];
      for (const some of portions(keys)) await Promise.all(some.flatMap((key) => [entries.delete(key), files.delete(key)]));
      await transaction.done;
    });
  }

  private async attempt<T>(otherwise: T, work: (database: IDBPDatabase<Schema>) => Promise<T>): Promise<T> {
    const database = await this.database;
    try {
      return database ? await work(database) : otherwise;
    } catch {
      // The disk is full, or the user cleared the data of the site.
      return otherwise;
    }
  }
}

export const store = new UploadStore();
