import { FILES } from './files';
import { TASKS } from './tasks';
import type { FileEvent, TaskEvent } from './types';

const RETRY_MS = 10_000;

/** Listen to changes of the tasks of a batch, or of all; see {@link follow}. */
export function listen(batch: number | null, onEvent: (event: TaskEvent) => void, onStart: () => void): () => void {
  const query = batch === null ? '' : `?batch_id=${batch}`;
  return follow(`${TASKS}/events${query}`, 'task', onEvent, onStart);
}

/** Listen to changes of all files; see {@link follow}. */
export function listenToFiles(onEvent: (event: FileEvent) => void, onStart: () => void): () => void {
  return follow(`${FILES}/events`, 'file', onEvent, onStart);
}

/**
 * Listen to a stream of events while the tab is visible.
 *
 * A browser opens at most six connections to a server without TLS, so a hidden tab gives its own back; `onStart` is
 * called when listening begins again, to fetch what happened meanwhile.
 */
function follow<T>(address: string, kind: string, onEvent: (event: T) => void, onStart: () => void): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const open = (): void => {
    if (source || document.hidden) return;
    source = new EventSource(address);
    source.addEventListener('open', onStart);
    // A browser connects again by itself, but not after an answer that is a problem.
    source.addEventListener('error', () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      close();
      timer = setTimeout(open, RETRY_MS);
    });
    source.addEventListener(kind, (message) => onEvent(JSON.parse((message as MessageEvent<string>).data) as T));
  };
  const close = (): void => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const onVisibility = (): void => (document.hidden ? close() : open());

  open();
  document.addEventListener('visibilitychange', onVisibility);
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    close();
  };
}
