import { FILES } from './files';
import { SharedStream } from './stream';
import { TASKS } from './tasks';
import type { FileEvent, TaskEvent } from './types';

const taskEvents = new SharedStream<TaskEvent>(`${TASKS}/events`, 'task');
const fileEvents = new SharedStream<FileEvent>(`${FILES}/events`, 'file');

/** Listen to changes of the tasks of a batch, or of all tasks; return a function that stops listening. */
export function listen(
  batch: number | null,
  onEvent: (event: TaskEvent) => void,
  onStart: () => void,
  onLost?: () => void,
): () => void {
  // Use one stream for all batches, so that tabs with different batches share it.
  const ofBatch = (event: TaskEvent): void => {
    if (batch === null || event.batch_id === batch) onEvent(event);
  };
  return taskEvents.listen({ onEvent: ofBatch, onStart, onLost });
}

/** Listen to changes of all files; return a function that stops listening. */
export const listenToFiles = (onEvent: (event: FileEvent) => void, onStart: () => void, onLost: () => void): (() => void) =>
  fileEvents.listen({ onEvent, onStart, onLost });
