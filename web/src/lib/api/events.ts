import { TASKS } from './tasks';
import type { TaskEvent } from './types';

/**
 * Listen to changes of the tasks of a batch, or of all, while the tab is visible.
 *
 * A browser opens at most six connections to a server without TLS, so a hidden tab gives its own back; `onStart` is
 * called when listening begins again, to fetch what happened meanwhile.
 */
export function listen(batch: number | null, onEvent: (event: TaskEvent) => void, onStart: () => void): () => void {
  const query = batch === null ? '' : `?batch_id=${batch}`;
  let source: EventSource | null = null;

  const open = (): void => {
    if (source || document.hidden) return;
    source = new EventSource(`${TASKS}/events${query}`);
    source.addEventListener('open', onStart);
    source.addEventListener('task', (message) => onEvent(JSON.parse(message.data as string) as TaskEvent));
  };
  const close = (): void => {
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
