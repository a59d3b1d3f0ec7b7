/** The files for the next run: listed in the address or, if there are too many, stored in the browser. */

import { lookUp } from '../api/files';
import type { FileRow } from '../api/types';
import { router } from '../router.svelte';
import { keep, kept } from '../storage';
import { randomText } from '../upload/random';

const IN_ADDRESS = 60;
const STORED = 'workset';
/** Number of sets that are stored; the oldest is forgotten first. */
const SETS = 8;

/** The files of one address. */
interface StoredSet {
  name: string;
  ids: readonly number[];
}

class Workset {
  files = $state.raw<FileRow[]>([]);
  error = $state.raw<unknown>(null);
  /** How many files of the address no longer exist. */
  gone = $state(0);
  /** The part of the address that lists these files. */
  private named = '';
  private request = new AbortController();

  /** Open the screen that processes these files. */
  process(files: readonly FileRow[], replace = false): void {
    const named = nameOf(files.map(({ id }) => id));
    this.begin(named);
    this.files = [...files];
    router.go(`/process?files=${named}`, replace);
  }

  /** Do the same for files whose rows are not loaded. */
  processIds(ids: readonly number[], replace = false): void {
    this.begin('');
    router.go(`/process?files=${nameOf(ids)}`, replace);
  }

  /** Fetch the files listed in the address. */
  async read(): Promise<void> {
    const named = router.query.get('files') ?? '';
    if (named === this.named) return;
    const { signal } = this.begin(named);
    const ids = idsOf(named);
    try {
      const found = new Map((ids.length > 0 ? await lookUp(ids, signal) : []).map((file) => [file.id, file]));
      if (signal.aborted) return;
      this.files = ids.flatMap((id) => found.get(id) ?? []);
      this.gone = ids.length - this.files.length;
    } catch (error) {
      if (signal.aborted) return;
      this.named = '';
      this.error = error;
    }
  }

  /** Forget the files of the earlier address: a run must not get them, nor an answer that is still to come. */
  private begin(named: string): AbortController {
    this.request.abort();
    this.named = named;
    this.files = [];
    this.gone = 0;
    this.error = null;
    return (this.request = new AbortController());
  }
}

/** Return the part of an address that lists these files; store them if they are too many for it. */
function nameOf(ids: readonly number[]): string {
  if (ids.length <= IN_ADDRESS) return ids.join(',');
  // Each set has its own name, so that other tabs and the Back button keep theirs.
  const name = `kept-${randomText()}`;
  keep(STORED, [{ name, ids }, ...kept<StoredSet[]>(STORED, [])].slice(0, SETS));
  return name;
}

function idsOf(named: string): readonly number[] {
  const stored = kept<StoredSet[]>(STORED, []).find(({ name }) => name === named);
  return stored?.ids ?? named.split(',').map(Number).filter((id) => id > 0);
}

export const workset = new Workset();
