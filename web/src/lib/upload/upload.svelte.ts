/** A file on its way to the server. */

import { randomText } from './random';
import { SENT_MS, type Entry } from './store';

/** The largest file that is sent in a batch; others are resumable. */
const SMALL_BYTES = 4 * 2 ** 20;

/** `missing`: the browser does not have the bytes; the user must choose the file again. */
export type UploadState = 'waiting' | 'sending' | 'done' | 'failed' | 'missing';

export class Upload {
  state = $state<UploadState>('waiting');
  sent = $state(0);
  error = $state('');
  /** How often its request got no answer although the server is there. */
  unanswered = 0;
  /** Whether the server refused a request with other files: this one may be the reason, or one of the others. */
  wasRefused = false;
  /** When its first request began, in milliseconds; if it is resumable, the last one. */
  began: number | null = null;

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

  static fromEntry({ key, sent, folder, name, size, modified }: Entry): Upload {
    const upload = new Upload(key, folder, name, size, modified, null);
    upload.began = sent;
    return upload;
  }

  get isLarge(): boolean {
    return this.size > SMALL_BYTES;
  }

  /** Whether it must have a request of its own. */
  get isAlone(): boolean {
    return this.isLarge || this.unanswered > 0 || this.wasRefused;
  }

  /** Whether the server may have stored the file and forgotten the key: then a retry would store it twice. */
  get isLate(): boolean {
    return !this.isLarge && this.began !== null && Date.now() - this.began > SENT_MS;
  }

  /** Note that a request begins. */
  begin(): void {
    if (this.isLarge || this.began === null) this.began = Date.now();
  }

  /** Upload the file that the user chose for it. */
  choose(file: File): void {
    this.file = file;
    // The user has decided that it is not stored, or may be stored twice.
    if (this.isLate) this.began = null;
  }

  /** Return whether a file seems to be the one of this upload. */
  isOf({ name, size, lastModified }: File): boolean {
    return name === this.name && size === this.size && lastModified === this.modified;
  }
}
