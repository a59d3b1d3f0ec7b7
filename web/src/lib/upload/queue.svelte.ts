/** The uploads of this page: small files together in batches, large ones resumable. */

import { Problem } from '../api/http';
import type { FileRow } from '../api/types';
import { explain } from '../errors';
import { connection } from '../state/connection.svelte';
import { fileList } from '../state/files.svelte';
import { sendBatch } from './batch';
import type { Picked } from './sources';
import { Speed } from './speed';

export type UploadState = 'waiting' | 'sending' | 'done' | 'failed';

export class Upload {
  state = $state<UploadState>('waiting');
  sent = $state(0);
  error = $state('');
  /** The idempotency key makes a retry safe: it returns the first file. */
  readonly key = randomKey();

  constructor(
    readonly file: File,
    readonly folder: string,
  ) {}
}

const SMALL_BYTES = 4 * 2 ** 20;
const BATCH_FILES = 50;
const BATCH_BYTES = 16 * 2 ** 20;
const AT_ONCE = 3;

function randomKey(): string {
  // randomUUID is not available over plain HTTP.
  return `web-${Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

class UploadQueue {
  uploads = $state.raw<Upload[]>([]);
  paused = $state(false);
  done = $state(0);
  failed = $state(0);
  sentBytes = $state(0);
  totalBytes = $state(0);
  private readonly speed = new Speed();
  private waiting: Upload[] = [];
  private running = 0;
  private stops = new Set<() => void>();

  constructor() {
    connection.onReturn(() => this.start());
    addEventListener('beforeunload', (event) => {
      if (this.active) event.preventDefault();
    });
  }

  get active(): boolean {
    return this.done + this.failed < this.uploads.length;
  }

  get bytesPerSecond(): number {
    return this.speed.of(this.sentBytes);
  }

  /** Upload files, each into its own folder below the current one. */
  add(files: readonly Picked[], parent = ''): void {
    if (files.length === 0) return;
    if (!this.active && this.failed === 0) this.reset();
    const added = files.map(({ file, folder }) => new Upload(file, [parent, folder].filter(Boolean).join('/')));
    this.uploads = [...this.uploads, ...added];
    this.waiting.push(...added);
    for (const { file } of added) this.totalBytes += file.size;
    this.start();
  }

  pause(): void {
    this.paused = true;
    for (const stop of this.stops) stop();
  }

  resume(): void {
    this.paused = false;
    this.start();
  }

  retryFailed(): void {
    const failed = this.uploads.filter(({ state }) => state === 'failed');
    for (const upload of failed) this.again(upload);
    this.failed = 0;
    this.start();
  }

  clear(): void {
    this.waiting = [];
    for (const stop of this.stops) stop();
    this.reset();
    fileList.refresh();
  }

  private reset(): void {
    this.uploads = [];
    this.waiting = [];
    this.done = this.failed = this.sentBytes = this.totalBytes = 0;
    this.paused = false;
    this.speed.forget();
  }

  private start(): void {
    while (!this.paused && !connection.away && this.running < AT_ONCE && this.waiting.length > 0) {
      const group = this.nextGroup();
      this.running += 1;
      void this.send(group).finally(() => {
        this.running -= 1;
        this.start();
      });
    }
  }

  /** Return one large file, or several small ones that fit into one request. */
  private nextGroup(): Upload[] {
    const group: Upload[] = [];
    let size = 0;
    while (group.length < BATCH_FILES) {
      const next = this.waiting[0];
      if (!next) break;
      const large = next.file.size > SMALL_BYTES;
      if (group.length > 0 && (large || size + next.file.size > BATCH_BYTES)) break;
      this.waiting.shift();
      group.push(next);
      size += next.file.size;
      if (large) break;
    }
    return group;
  }

  private async send(group: Upload[]): Promise<void> {
    const controller = new AbortController();
    const stop = (): void => controller.abort();
    this.stops.add(stop);
    for (const upload of group) upload.state = 'sending';
    try {
      const [only] = group;
      if (only && only.file.size > SMALL_BYTES) {
        const { sendResumable } = await import('./resumable');
        await sendResumable(only.file, only.folder, controller.signal, (sent) => this.progress(only, sent));
        this.finish(only);
      } else {
        const results = await sendBatch(group, controller.signal, (share) => {
          for (const upload of group) this.progress(upload, upload.file.size * share);
        });
        group.forEach((upload, index) => this.settle(upload, results[index]));
      }
    } catch (error) {
      for (const upload of group) this.fail(upload, error, controller.signal.aborted);
    }
    this.stops.delete(stop);
    // During uploads, events from the server add the files to the gallery.
    if (!this.active) fileList.refresh();
  }

  private settle(upload: Upload, result: { file?: FileRow; problem?: { detail: string } } | undefined): void {
    if (result?.file) this.finish(upload);
    else this.fail(upload, new Error(result?.problem?.detail ?? ''), false);
  }

  private progress(upload: Upload, sent: number): void {
    this.sentBytes += sent - upload.sent;
    upload.sent = sent;
  }

  private finish(upload: Upload): void {
    if (!this.uploads.includes(upload)) return;
    this.progress(upload, upload.file.size);
    upload.state = 'done';
    this.done += 1;
  }

  private fail(upload: Upload, error: unknown, stopped: boolean): void {
    if (!this.uploads.includes(upload)) return;
    const away = error instanceof Problem && error.isAway;
    if (stopped || away) {
      this.again(upload);
      return;
    }
    this.progress(upload, 0);
    upload.state = 'failed';
    upload.error = explain(error);
    this.failed += 1;
  }

  private again(upload: Upload): void {
    this.progress(upload, 0);
    upload.state = 'waiting';
    upload.error = '';
    this.waiting.push(upload);
  }
}

export const uploads = new UploadQueue();
