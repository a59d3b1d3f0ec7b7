import { languageHeader, NoAnswer, Problem, secondsOf } from '../api/http';
import { FILES } from '../api/files';
import type { FileRow } from '../api/types';

export interface BatchResult {
  file?: FileRow;
  problem?: { type?: string; status?: number; detail: string };
}

/** Upload several small files in one request. Uses XMLHttpRequest, because `fetch` reports no upload progress. */
export function sendBatch(
  uploads: readonly { file: File; folder: string; key: string }[],
  signal: AbortSignal,
  onProgress: (share: number) => void,
): Promise<BatchResult[]> {
  const form = new FormData();
  form.append('json', JSON.stringify(uploads.map(({ key, folder }) => ({ idempotency_key: key, folder }))));
  for (const { file } of uploads) form.append('file', file, file.name);

  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `${FILES}/batch`);
    for (const [header, value] of Object.entries(languageHeader())) request.setRequestHeader(header, value);
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
    request.onload = () => {
      const answer = request.response as { files?: BatchResult[]; type?: string; detail?: string } | null;
      if (answer?.files) {
        resolve(answer.files);
        return;
      }
      const seconds = secondsOf(request.getResponseHeader('Retry-After'));
      reject(new Problem(answer?.type ?? '', request.status, answer?.detail ?? request.statusText, [], null, seconds));
    };
    request.onerror = () => reject(new NoAnswer(FILES));
    request.onabort = () => reject(new DOMException('', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}
