/** The uploads of this page: small files together in batches, large ones resumable. They go on after a reload. */

import { FILES } from '../api/files';
import { Problem } from '../api/http';
import { askSession } from '../api/session';
import { explain } from '../errors';
import { i18n } from '../i18n/i18n.svelte';
import { part } from '../latest';
import { router } from '../router.svelte';
import { connection } from '../state/connection.svelte';
import { fileList } from '../state/files.svelte';
import { session } from '../state/session.svelte';
import { sendBatch, type BatchResult } from './batch';
import { isReadable } from './contents';
import { keeper } from './keeper';
import type { Picked } from './sources';
import { Speed } from './speed';
import { SILENCE_MS, tab } from './tab';
import { Upload } from './upload.svelte';

const BATCH_FILES = 50;
const BATCH_BYTES = 16 * 2 ** 20;
const AT_ONCE = 3;
/** The pause after a refusal that passes, if the server names none. */
const PAUSE_MS = 4000;
const LONGEST_PAUSE_MS = 60_000;
/** A proxy may close the connection of a request that it refuses, such as one that is too large. */
const MOST_UNANSWERED = 3;
/** A tab that was closed may be one that reloads: then it continues its uploads itself. */
const RELOAD_MS = 5000;

type Ready = Upload & { file: File };

async function fileOf(upload: Upload): Promise<File | null> {
  if (upload.file) return upload.file;
  const file = await keeper.file(upload);
  return file && (await isReadable(file)) ? file : null;
}

class UploadQueue {
  uploads = $state.raw<Upload[]>([]);
  paused = $state(false);
  done = $state(0);
  failed = $state(0);
  /** How many files must be chosen again. */
  missing = $state(0);
  /** How many uploads go on that a reload or a closed tab has interrupted. */
  restored = $state(0);
  sentBytes = $state(0);
  totalBytes = $state(0);
  /** Whether the server is there but refuses uploads for now, for example while it restarts behind a proxy. */
  refused = $state(false);
  private refusedTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly speed = new Speed();
  private waiting: Upload[] = [];
  /** The keys of all uploads of this tab: one that ends while the browser's database is read must not begin again. */
  private readonly had = new Set<string>();
  private running = 0;
  private stops = new Set<() => void>();
  /** Aborted when the user stops the uploads: what is still being read of a dropped folder must not be added. */
  private taking = new AbortController();
  private nextLook: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    connection.onReturn(FILES, () => this.start());
    session.onBegin(() => {
      this.start();
      void this.restore();
    });
    session.onLeave(() => this.leave());
    session.onDoubt(() => session.isDoubtful && this.interrupt());
    document.addEventListener('visibilitychange', () => document.hidden || this.look());
    tab.onClose(() => setTimeout(() => this.look(), RELOAD_MS));
    addEventListener('beforeunload', (event) => {
      if (!this.outlivesReload) event.preventDefault();
    });
  }

  get whileTaken(): AbortSignal {
    if (this.taking.signal.aborted) this.taking = new AbortController();
    return this.taking.signal;
  }

  get active(): boolean {
    return this.done + this.failed + this.missing < this.uploads.length;
  }

  /** Whether the user may stop uploads, instead of closing the list of those that ended. */
  get unfinished(): boolean {
    return this.active || this.missing > 0;
  }

  /** Whether all uploads go on after a reload without the user. */
  get outlivesReload(): boolean {
    return this.uploads.every((upload) => (upload.state !== 'waiting' && upload.state !== 'sending') || keeper.isWhole(upload));
  }

  get bytesPerSecond(): number {
    return this.speed.of(this.sentBytes);
  }

  /** Upload files, each into its own folder below the current one. A file that had to be chosen again continues. */
  add(files: readonly Picked[], parent = ''): void {
    const placed = files.map(({ file, folder }) => ({ file, folder: [parent, folder].filter(Boolean).join('/') }));
    const others = this.continueWith(placed, (upload, folder) => upload.folder === folder);
    this.append(others.map(({ file, folder }) => Upload.of(file, folder)));
    this.start();
  }

  /** Continue with files that had to be chosen again, each in its folder; return how many were other files. */
  chooseAgain(files: readonly Picked[]): number {
    const others = this.continueWith(files, () => true);
    this.start();
    return others.length;
  }

  pause(): void {
    this.setPaused(true);
    this.interrupt();
  }

  resume(): void {
    this.setPaused(false);
    this.start();
  }

  retryFailed(): void {
    const failed = this.uploads.filter(({ state }) => state === 'failed');
    for (const upload of failed) {
      upload.unanswered = 0;
      upload.wasRefused = false;
      this.again(upload);
    }
    this.failed = 0;
    this.start();
  }

  clear(): void {
    void keeper.forget(this.uploads);
    // A folder that was dropped after the uploads of this list may still be being read.
    if (this.unfinished) this.taking.abort();
    this.stop();
    this.setPaused(false);
    fileList.refresh();
  }

  /** Forget the uploads here; they go on when the same user signs in again. */
  private leave(): void {
    keeper.release();
    this.had.clear();
    this.taking.abort();
    this.stop();
  }

  private stop(): void {
    this.waiting = [];
    this.interrupt();
    this.reset();
  }

  /** Abort the requests of now; their uploads wait again. */
  private interrupt(): void {
    for (const stop of this.stops) stop();
  }

  private reset(): void {
    this.uploads = [];
    this.waiting = [];
    this.done = this.failed = this.missing = this.restored = this.sentBytes = this.totalBytes = 0;
    this.paused = false;
    this.speed.forget();
  }

  private setPaused(paused: boolean): void {
    this.paused = paused;
    tab.keepPaused(paused);
  }

  private append(added: readonly Upload[]): void {
    if (added.length === 0) return;
    this.makeRoom();
    this.uploads = [...this.uploads, ...added];
    this.waiting = this.waiting.concat(added);
    for (const { key, size } of added) {
      this.had.add(key);
      this.totalBytes += size;
    }
    keeper.keep(added);
  }

  /** Remove the uploads of before, if all have succeeded. */
  private makeRoom(): void {
    if (this.unfinished || this.failed > 0) return;
    this.reset();
    this.setPaused(false);
  }

  /** Look for uploads of closed tabs, if the server says that the owner is still the same: another tab may have changed it. */
  private look(): void {
    if (session.owner !== undefined && !session.needsKey && router.screen !== 'shared') void askSession();
  }

  /** Continue the uploads of a closed tab or from before a reload. */
  private async restore(): Promise<void> {
    const { owner } = session;
    // The visitor of a link does not see the uploads.
    const isGuest = router.screen === 'shared';
    if (owner === undefined || session.needsKey || !session.mayWrite || isGuest) return;
    void keeper.write();
    const { adopted, othersHave } = await keeper.adopt(owner);
    clearTimeout(this.nextLook);
    // A tab that crashed counts as open until then, and nothing else would say that it no longer is.
    if (othersHave) this.nextLook = setTimeout(() => this.look(), SILENCE_MS);
    if (session.isDoubtful || session.needsKey) return;
    const found = adopted.filter(({ entry }) => !this.had.has(entry.key));
    if (found.length === 0) return;
    for (const { entry } of found) this.had.add(entry.key);
    const wasPaused = tab.takePaused(new Set(found.map(({ entry }) => entry.tab)));
    this.makeRoom();
    this.setPaused(this.active ? this.paused : wasPaused);
    const restored = found.map(({ entry, hasBytes }) => {
      const upload = Upload.fromEntry(entry);
      if (hasBytes) this.totalBytes += upload.size;
      else upload.state = 'missing';
      return { upload, hasBytes };
    });
    keeper.hold(restored);
    const waiting = restored.filter(({ hasBytes }) => hasBytes).map(({ upload }) => upload);
    this.uploads = [...this.uploads, ...restored.map(({ upload }) => upload)];
    this.waiting = this.waiting.concat(waiting);
    this.restored += waiting.length;
    this.missing += restored.length - waiting.length;
    this.start();
  }

  /** Continue the uploads of files that had to be chosen again; return the other files. */
  private continueWith(files: readonly Picked[], isPlace: (upload: Upload, folder: string) => boolean): Picked[] {
    if (this.missing === 0) return [...files];
    const missing = new Map<string, Upload[]>();
    for (const upload of this.uploads) {
      if (upload.state !== 'missing') continue;
      const ofName = missing.get(upload.name);
      if (ofName) ofName.push(upload);
      else missing.set(upload.name, [upload]);
    }
    return files.filter(({ file, folder }) => {
      const upload = missing
        .get(file.name)
        ?.find((candidate) => candidate.state === 'missing' && candidate.isOf(file) && isPlace(candidate, folder));
      if (!upload) return true;
      upload.choose(file);
      this.missing -= 1;
      this.totalBytes += upload.size;
      this.again(upload);
      keeper.keepBytes(upload);
      return false;
    });
  }

  private get maySend(): boolean {
    return !this.paused && !this.refused && !connection.takesNoFiles && !session.needsKey && !session.isDoubtful;
  }

  private start(): void {
    while (this.maySend && this.running < AT_ONCE && this.waiting.length > 0) {
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
      if (group.length > 0 && (next.isAlone || size + next.size > BATCH_BYTES)) break;
      this.waiting.shift();
      group.push(next);
      size += next.size;
      if (next.isAlone) break;
    }
    return group;
  }

  private async send(group: Upload[]): Promise<void> {
    const controller = new AbortController();
    const stop = (): void => controller.abort();
    this.stops.add(stop);
    for (const upload of group) upload.state = 'sending';
    let ready: readonly Ready[] = [];
    try {
      ready = await this.prepare(group);
      if (session.isDoubtful) stop();
      if (controller.signal.aborted) throw new DOMException('', 'AbortError');
      const [only] = ready;
      if (only?.isLarge) {
        const { sendResumable } = await part(() => import('./resumable'));
        await sendResumable(only.file, only.folder, only.key, controller.signal, (sent) => this.progress(only, sent));
        this.finish(only);
      } else if (only) {
        const results = await sendBatch(ready, controller.signal, (share) => {
          for (const upload of ready) this.progress(upload, upload.size * share);
        });
        ready.forEach((upload, index) => this.settle(upload, results[index]));
      }
    } catch (error) {
      if (controller.signal.aborted) this.waitAgain(ready);
      else await this.failAll(ready, error);
    }
    void keeper.forget(ready.filter(({ state }) => state === 'done'));
    this.stops.delete(stop);
    // During uploads, events from the server add the files to the gallery.
    if (!this.active) fileList.refresh();
  }

  /** Return the uploads of a group that this tab can send now, with their files. */
  private async prepare(group: readonly Upload[]): Promise<Ready[]> {
    const timely = group.filter((upload) => !upload.isLate);
    for (const upload of timely) upload.begin();
    const held = new Set(await keeper.send(timely));
    const files = await Promise.all(group.map((upload) => (held.has(upload) ? fileOf(upload) : null)));
    return group.flatMap((upload, index) => {
      const file = files[index];
      if (file) return [Object.assign(upload, { file })];
      if (held.has(upload) || upload.isLate) this.miss(upload);
      else this.lose(upload);
      return [];
    });
  }

  private settle(upload: Upload, result: BatchResult | undefined): void {
    if (result?.file) this.finish(upload);
    else this.fail(upload, new Problem(result?.problem?.type ?? '', result?.problem?.status ?? 0, result?.problem?.detail ?? ''));
  }

  /** A request of these uploads failed: try again later what may succeed then, and fail the others. */
  private async failAll(group: readonly Ready[], error: unknown): Promise<void> {
    if (error instanceof Problem && !error.isAway) {
      // The server refuses a whole request for one name, or because not all of its files have room.
      const mayBeOthers = group.length > 1 && !error.isPassing && error.status !== 401 && error.status !== 403;
      for (const upload of group) {
        if (mayBeOthers) upload.wasRefused = true;
        else this.fail(upload, error);
      }
      if (mayBeOthers) this.waitAgain(group);
      return;
    }
    // A file that was deleted after it was chosen looks like a lost connection.
    const readable: Ready[] = [];
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
    if (sent > upload.sent) connection.sending = Date.now();
    this.sentBytes += sent - upload.sent;
    upload.sent = sent;
  }

  private finish(upload: Upload): void {
    if (!this.uploads.includes(upload)) return;
    this.progress(upload, upload.size);
    upload.state = 'done';
    upload.file = null;
    this.done += 1;
  }

  /** Another tab has adopted the upload while this one was suspended. */
  private lose(upload: Upload): void {
    if (!this.uploads.includes(upload)) return;
    this.progress(upload, 0);
    this.totalBytes -= upload.size;
    keeper.lose(upload);
    this.had.delete(upload.key);
    this.uploads = this.uploads.filter((other) => other !== upload);
  }

  /** The browser no longer has the bytes of the upload, or the server may no longer know its key. */
  private miss(upload: Upload): void {
    if (!this.uploads.includes(upload)) return;
    this.progress(upload, 0);
    this.totalBytes -= upload.size;
    upload.state = 'missing';
    this.missing += 1;
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
