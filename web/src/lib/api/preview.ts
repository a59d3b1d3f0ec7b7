import type { Size } from '../drawing';
import { send } from './http';
import { TASKS, type Work } from './tasks';

export interface Rendered {
  blob: Blob;
  /** The size in pixels of a picture before it was shrunk to the preview. */
  full: Size | null;
}

export async function preview(fileId: number, work: Work, maxSide: number, signal: AbortSignal): Promise<Rendered> {
  const response = await send(`${TASKS}/preview`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      file_id: fileId,
      steps: work.steps.map(({ algorithm, params }) => ({ algorithm, params })),
      output: work.output,
      max_side: maxSide,
    }),
    signal,
  });
  const size = /^(\d+)x(\d+)$/.exec(response.headers.get('X-Pixmill-Full-Size') ?? '');
  return { blob: await response.blob(), full: size && { width: Number(size[1]), height: Number(size[2]) } };
}
