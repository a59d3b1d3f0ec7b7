/** The uploads that the browser keeps over a reload, in IndexedDB. Without it, for example in a private window, nothing is kept. */

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';

export interface Entry {
  /** The idempotency key: with it the server recognizes a file whose response was lost. */
  key: string;
  owner: string;
  /** The tab that uploads it. */
  tab: string;
  /** When it was added, in milliseconds; no two entries of a tab have the same time. */
  added: number;
  folder: string;
  name: string;
  size: number;
  modified: number;
}

interface Schema extends DBSchema {
  entries: { key: string; value: Entry; indexes: { owner: string } };
  // Apart from the entries, so that a list of them reads no files.
  files: { key: string; value: File };
}

const PORTION = 500;
/** The server keeps idempotency keys and unfinished uploads for a day: later a retry could store a file twice. */
const DAY_MS = 24 * 60 * 60 * 1000;

/** Return the items in portions: the page stays responsive between two of them. */
function* portions<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += PORTION) yield items.slice(start, start + PORTION);
}

class UploadStore {
  private opened: Promise<IDBPDatabase<Schema> | null> | undefined;

  private get database(): Promise<IDBPDatabase<Schema> | null> {
    this.opened ??= openDB<Schema>('pixmill', 1, {
      upgrade(database) {
        database.createObjectStore('entries', { keyPath: 'key' }).createIndex('owner', 'owner');
        database.createObjectStore('files');
      },
    }).catch(() => null);
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
   * Assign an owner's entries to a tab, except those of other open tabs, and remove old ones.
   * Return the entries of the tab, oldest first; the keys whose bytes are kept; and whether other tabs have entries.
   */
  async adopt(
    owner: string,
    tab: string,
    isOpen: (other: string) => boolean,
  ): Promise<{ entries: Entry[]; withBytes: ReadonlySet<string>; elsewhere: boolean }> {
    const nothing = { entries: [], withBytes: new Set<string>(), elsewhere: false };
    return this.attempt(nothing, async (database) => {
      const transaction = database.transaction(['entries', 'files'], 'readwrite');
      const [entries, files] = [transaction.objectStore('entries'), transaction.objectStore('files')];
      const now = Date.now();
      const mine: Entry[] = [];
      let elsewhere = false;
      const old: string[] = [];
      const adopted: Entry[] = [];
      for (const entry of await entries.index('owner').getAll(owner)) {
        const isTaken = entry.tab !== tab && isOpen(entry.tab);
        if (isTaken) {
          elsewhere = true;
        } else if (now - entry.added > DAY_MS) {
          old.push(entry.key);
        } else {
          if (entry.tab !== tab) adopted.push({ ...entry, tab });
          mine.push(entry);
        }
      }
      const withBytes = new Set(mine.length > 0 ? await files.getAllKeys() : []);
      for (const some of portions(adopted)) await Promise.all(some.map((entry) => entries.put(entry)));
      for (const some of portions(old)) await Promise.all(some.flatMap((key) => [entries.delete(key), files.delete(key)]));
      await transaction.done;
      return { entries: mine.sort((a, b) => a.added - b.added), withBytes, elsewhere };
    });
  }

  /** Return which of these kept entries still belong to this tab: another one may have adopted them. */
  async stillOf(tab: string, keys: readonly string[]): Promise<ReadonlySet<string>> {
    return this.attempt(new Set(keys), async (database) => {
      const { store: rows } = database.transaction('entries');
      const entries = await Promise.all(keys.map((key) => rows.get(key)));
      return new Set(keys.filter((_, index) => entries[index]?.tab === tab));
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
