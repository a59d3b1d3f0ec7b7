/** The uploads of this page: small files together in batches, large ones resumable. */

import { Problem } from '../api/http';
import { explain } from '../errors';
import { i18n } from '../i18n/i18n.svelte';
import { part } from '../latest';
import { connection } from '../state/connection.svelte';
import { fileList } from '../state/files.svelte';
import { session } from '../state/session.svelte';
import { sendBatch, type BatchResult } from './batch';
import { isReadable } from './contents';
import type { Picked } from './sources';
import { Speed } from './speed';

export type UploadState = 'waiting' | 'sending' | 'done' | 'failed';

export class Upload {
  state = $state<UploadState>('waiting');
  sent = $state(0);
  error = $state('');
  /** The idempotency key makes a retry safe: it returns the first file. */
  readonly key = randomKey();
  /** How often its request got no answer although the server is there. */
  unanswered = 0;

  constructor(
    readonly file: File,
    readonly folder: string,
  ) {}
}

const SMALL_BYTES = 4 * 2 ** 20;
const BATCH_FILES = 50;
const BATCH_BYTES = 16 * 2 ** 20;
const AT_ONCE = 3;
/** The pause after a refusal that passes, if the server names none. */
const PAUSE_MS = 4000;
const LONGEST_PAUSE_MS = 60_000;
/** A proxy may close the connection of a request that it refuses, such as one that is too large. */
const MOST_UNANSWERED = 3;

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
  /** Whether the server is there but refuses uploads for now, for example while it restarts behind a proxy. */
  refused = $state(false);
  private refusedTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly speed = new Speed();
  private waiting: Upload[] = [];
  private running = 0;
  private stops = new Set<() => void>();

  constructor() {
    connection.onReturn(() => this.start());
    session.onBegin(() => this.start());
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
    for (const upload of failed) {
      upload.unanswered = 0;
      this.again(upload);
    }
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
    while (!this.paused && !this.refused && !connection.away && !session.needsKey && this.running < AT_ONCE && this.waiting.length > 0) {
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
      if (group.length > 0 && (large || next.unanswered > 0 || size + next.file.size > BATCH_BYTES)) break;
      this.waiting.shift();
      group.push(next);
      size += next.file.size;
      if (large || next.unanswered > 0) break;
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
        const { sendResumable } = await part(() => import('./resumable'));
        await sendResumable(only.file, only.folder, controller.signal, (sent) => this.progress(only, sent));
        this.finish(only);
      } else {
        const results = await sendBatch(group, controller.signal, (share) => {
          for (const upload of group) this.progress(upload, upload.file.size * share);
        });
        group.forEach((upload, index) => this.settle(upload, results[index]));
      }
    } catch (error) {
      if (controller.signal.aborted) this.waitAgain(group);
      else await this.failAll(group, error);
    }
    this.stops.delete(stop);
    // During uploads, events from the server add the files to the gallery.
    if (!this.active) fileList.refresh();
  }

  private settle(upload: Upload, result: BatchResult | undefined): void {
    if (result?.file) this.finish(upload);
    else this.fail(upload, new Problem(result?.problem?.type ?? '', result?.problem?.status ?? 0, result?.problem?.detail ?? ''));
  }

  /** A request of these uploads failed: try again later what may succeed then, and fail the others. */
  private async failAll(group: readonly Upload[], error: unknown): Promise<void> {
    if (error instanceof Problem && !error.isAway) {
      for (const upload of group) this.fail(upload, error);
      return;
    }
    // A file that was deleted after it was chosen looks like a lost connection.
    const readable: Upload[] = [];
    for (const upload of group) {
      if (await isReadable(upload.file)) readable.push(upload);
      else this.fail(upload, new Error(i18n.t.unreadableFile));
    }
    if (!(error instanceof Problem)) {
      for (const upload of readable) this.fail(upload, error);
    } else if (readable.length < group.length || !(await connection.isThere())) {
      this.waitAgain(readable);
    } else {
      for (const upload of readable) {
        upload.unanswered += 1;
        if (upload.unanswered < MOST_UNANSWERED) this.waitAgain([upload]);
        else this.fail(upload, error);
      }
    }
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

  private fail(upload: Upload, error: unknown): void {
    if (!this.uploads.includes(upload)) return;
    if (error instanceof Problem && error.status === 401) {
      session.end();
      this.again(upload);
    } else if (error instanceof Problem && error.isPassing && !error.isAway) {
      this.again(upload);
      this.pauseFor(error.waitSeconds);
    } else {
      this.progress(upload, 0);
      upload.state = 'failed';
      upload.error = explain(error);
      this.failed += 1;
    }
  }

  private waitAgain(group: readonly Upload[]): void {
    for (const upload of group) if (this.uploads.includes(upload)) this.again(upload);
  }

  private pauseFor(seconds: number | null): void {
    this.refused = true;
    this.refusedTimer ??= setTimeout(() => {
      this.refusedTimer = undefined;
      this.refused = false;
      this.start();
    }, Math.min(seconds ? seconds * 1000 : PAUSE_MS, LONGEST_PAUSE_MS));
  }

  private again(upload: Upload): void {
    this.progress(upload, 0);
    upload.state = 'waiting';
    upload.error = '';
    this.waiting.push(upload);
  }
}

export const uploads = new UploadQueue();
