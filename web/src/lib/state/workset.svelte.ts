/** The files for the next run: listed in the address or, if there are too many, stored in the browser. */

import { lookUp } from '../api/files';
import type { FileRow } from '../api/types';
import { router } from '../router.svelte';
import { keep, kept } from '../storage';

const IN_ADDRESS = 60;

class Workset {
  files = $state.raw<FileRow[]>([]);
  error = $state.raw<unknown>(null);
  /** The part of the address that lists these files. */
  private named = '';

  /** Open the screen that processes these files. */
  process(files: readonly FileRow[], replace = false): void {
    this.files = [...files];
    const ids = files.map(({ id }) => id);
    if (ids.length > IN_ADDRESS) keep('workset', ids);
    this.named = ids.length > IN_ADDRESS ? 'kept' : ids.join(',');
    router.go(`/process?files=${this.named}`, replace);
  }

  /** Do the same for files whose rows are not loaded. */
  processIds(ids: readonly number[], replace = false): void {
    if (ids.length > IN_ADDRESS) keep('workset', ids);
    this.named = '';
    this.files = [];
    router.go(`/process?files=${ids.length > IN_ADDRESS ? 'kept' : ids.join(',')}`, replace);
  }

  /** Fetch the files listed in the address. */
  async read(): Promise<void> {
    const named = router.query.get('files') ?? '';
    const ids = named === 'kept' ? kept<number[]>('workset', []) : named.split(',').map(Number).filter((id) => id > 0);
    if (named === this.named) return;
    this.named = named;
    this.error = null;
    try {
      const found = new Map((ids.length > 0 ? await lookUp(ids) : []).map((file) => [file.id, file]));
      this.files = ids.flatMap((id) => found.get(id) ?? []);
    } catch (error) {
      this.named = '';
      this.error = error;
    }
  }
}

export const workset = new Workset();
