import { DetailedError, Upload } from 'tus-js-client';
import { FILES } from '../api/files';
import { languageHeader, NoAnswer, Problem, secondsOf } from '../api/http';
import { hashOfEnds } from './contents';

const CHUNK_BYTES = 64 * 2 ** 20;
/** For short interruptions; after longer ones the queue continues. */
const RETRIES_MS = [0, 1000, 3000];

/** The uploads of this page that run now: a second one of the same file must not continue the first. */
const running = new Set<string>();

/** Upload a large file. Resume an interrupted upload of it, even one from before a reload of the page. */
export async function sendResumable(
  file: File,
  folder: string,
  key: string,
  signal: AbortSignal,
  onProgress: (sent: number) => void,
): Promise<void> {
  const fingerprint = await fingerprintOf(file, folder);
  if (signal.aborted) throw new DOMException('', 'AbortError');
  const isOnly = !running.has(fingerprint);
  const { promise, resolve, reject } = deferred();
  const upload = new Upload(file, {
    endpoint: `${FILES}/uploads/`,
    headers: languageHeader(),
    metadata: { filename: file.name, idempotency_key: key, ...(folder ? { folder } : {}) },
    chunkSize: CHUNK_BYTES,
    retryDelays: RETRIES_MS,
    fingerprint: () => Promise.resolve(fingerprint),
    storeFingerprintForResuming: isOnly,
    removeFingerprintOnSuccess: true,
    onProgress,
    onSuccess: resolve,
    onError: (error) => reject(problemOf(error)),
  });
  signal.addEventListener('abort', () => {
    void upload.abort();
    reject(new DOMException('', 'AbortError'));
  });
  running.add(fingerprint);
  try {
    const earlier = isOnly ? await upload.findPreviousUploads() : [];
    const newest = earlier.sort((a, b) => Date.parse(b.creationTime) - Date.parse(a.creationTime))[0];
    if (newest) upload.resumeFromPreviousUpload(newest);
    if (!signal.aborted) upload.start();
    await promise;
  } finally {
    if (isOnly) running.delete(fingerprint);
  }
}

/** Return what an upload is recognized by: the target folder, and all that a browser knows of the file, even after a reload. */
async function fingerprintOf(file: File, folder: string): Promise<string> {
  const { name, type, size, lastModified } = file;
  return JSON.stringify([folder, name, type, size, lastModified, await hashOfEnds(file)]);
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve = (): void => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<void>((ok, failed) => {
    resolve = ok;
    reject = failed;
  });
  return { promise, resolve, reject };
}

function problemOf(error: Error): Error {
  if (!(error instanceof DetailedError)) return error;
  const response = error.originalResponse;
  if (!response || response.getStatus() === 0) return new NoAnswer(FILES);
  const seconds = secondsOf(response.getHeader('Retry-After'));
  try {
    const { type, detail } = JSON.parse(response.getBody()) as { type: string; detail: string };
    return new Problem(type, response.getStatus(), detail, [], null, seconds);
  } catch {
    return new Problem('', response.getStatus(), response.getBody(), [], null, seconds);
  }
}
