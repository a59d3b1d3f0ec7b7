/** A file on its way to the server. */

import { randomText } from './random';
import type { Entry } from './store';

/** `missing`: the browser does not have the bytes; the user must choose the file again. */
export type UploadState = 'waiting' | 'sending' | 'done' | 'failed' | 'missing';

export class Upload {
  state = $state<UploadState>('waiting');
  sent = $state(0);
  error = $state('');
  /** How often its request got no answer although the server is there. */
  unanswered = 0;

  private constructor(
    /** The idempotency key makes a retry safe: it returns the first file. */
    readonly key: string,
    readonly folder: string,
    readonly name: string,
    readonly size: number,
    readonly modified: number,
    /** Null until it is read from the browser's database. */
    public file: File | null,
  ) {}

  static of(file: File, folder: string): Upload {
    return new Upload(`web-${randomText()}`, folder, file.name, file.size, file.lastModified, file);
  }

  static fromEntry({ key, folder, name, size, modified }: Entry): Upload {
    return new Upload(key, folder, name, size, modified, null);
  }

  /** Return whether a file seems to be the one of this upload. */
  isOf({ name, size, lastModified }: File): boolean {
    return name === this.name && size === this.size && lastModified === this.modified;
  }
}
