import { DetailedError, Upload } from 'tus-js-client';
import { FILES } from '../api/files';
import { Problem } from '../api/http';

const CHUNK_BYTES = 64 * 2 ** 20;
const RETRIES_MS = [0, 1000, 3000, 5000, 10_000, 20_000];

/** Upload a large file. Resume an interrupted upload of it, even one from before a reload of the page. */
export async function sendResumable(
  file: File,
  folder: string,
  signal: AbortSignal,
  onProgress: (sent: number) => void,
): Promise<void> {
  const { promise, resolve, reject } = deferred();
  const upload = new Upload(file, {
    endpoint: `${FILES}/uploads/`,
    metadata: { filename: file.name, ...(folder ? { folder } : {}) },
    chunkSize: CHUNK_BYTES,
    retryDelays: RETRIES_MS,
    removeFingerprintOnSuccess: true,
    onProgress,
    onSuccess: resolve,
    onError: (error) => reject(problemOf(error)),
  });
  signal.addEventListener('abort', () => {
    void upload.abort();
    reject(new DOMException('', 'AbortError'));
  });
  const [earlier] = await upload.findPreviousUploads();
  if (earlier) upload.resumeFromPreviousUpload(earlier);
  upload.start();
  await promise;
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
  const response = error instanceof DetailedError ? error.originalResponse : null;
  if (!response) return error;
  try {
    const { type, detail } = JSON.parse(response.getBody()) as { type: string; detail: string };
    return new Problem(type, response.getStatus(), detail);
  } catch {
    return new Problem('', response.getStatus(), response.getBody());
  }
}
