import { i18n } from '../i18n/i18n.svelte';
import { getJson, getPage, jsonOf, send, sendJson, type Page } from './http';
import { resolved } from '../schema/references';
import type { Algorithm, Params, Preset, Schema, Step, Task, TaskStatus } from './types';

export const TASKS = '/api/image-processing';
/** Maximum number of ids in a request. */
export const IDS = 1000;
/** Maximum number of files in a batch. */
export const BATCH = 10_000;

export interface Work {
  steps: Step[];
  output: Params;
}

/** Return the request body that creates tasks. A pipeline of one step is sent as that step, so analyses work too. */
export function batchBody(fileIds: readonly number[], work: Work): { file_ids: readonly number[]; algorithm: string; params: Params } {
  const output: Params = Object.keys(work.output).length > 0 ? { output: work.output } : {};
  const [only] = work.steps;
  if (work.steps.length === 1 && only) {
    return { file_ids: fileIds, algorithm: only.algorithm, params: { ...only.params, ...output } };
  }
  const steps = work.steps.map(({ algorithm, params }) => ({ algorithm, params }));
  return { file_ids: fileIds, algorithm: 'pipeline', params: { steps, ...output } };
}

export async function createTasks(fileIds: readonly number[], work: Work): Promise<number[]> {
  return (await sendJson<{ task_ids: number[] }>('POST', `${TASKS}/`, batchBody(fileIds, work))).task_ids;
}

export const taskPage = (address: string): Promise<Page<Task>> => getPage(address);

export const getTask = (id: number): Promise<Task> => getJson(`${TASKS}/${id}`);

/** A choice of tasks: at most 10,000 ids, or a batch. */
export type Chosen = { ids: readonly number[] } | { batch_id: number; status?: TaskStatus };

/** Change tasks; return the number of those whose state allowed it. */
export async function changeTasks(how: 'cancel' | 'restart' | 'forget', chosen: Chosen): Promise<number> {
  const changed = new Set<number>();
  let rest: Chosen & { cursor?: string } = chosen;
  let more = true;
  while (more) {
    const answer = await sendJson<{ task_ids: number[]; more: boolean; cursor?: string }>('POST', `${TASKS}/${how}`, rest);
    for (const id of answer.task_ids) changed.add(id);
    // A forgotten id no longer exists, and a restarted task may have failed again: send neither, and search on from the cursor.
    if ('ids' in rest) rest = { ids: rest.ids.filter((id) => !changed.has(id)) };
    else if (answer.cursor !== undefined) rest = { ...rest, cursor: answer.cursor };
    more = answer.more && !('ids' in rest && rest.ids.length === 0);
  }
  return changed.size;
}

export async function deleteTask(id: number): Promise<void> {
  await send(`${TASKS}/${id}`, { method: 'DELETE' });
}

/** All algorithms, whose schemas share their definitions. */
interface Catalog {
  algorithms: Algorithm[];
  $defs: Record<string, Schema>;
}

const whole = (schema: Schema, { $defs }: Catalog): Schema => ({ ...resolved(schema, { $defs }), $defs });

const algorithms = new Map<string, Promise<Algorithm[]>>();

async function fetchAlgorithms(language: string): Promise<Algorithm[]> {
  // The request may wait until the user has signed in, and the page may have another language by then.
  const catalog = await jsonOf<Catalog>(await send(`${TASKS}/catalog`, { headers: { 'Accept-Language': language } }));
  return catalog.algorithms.map((algorithm) => ({ ...algorithm, params: whole(algorithm.params, catalog) }));
}

/** Return the algorithms, described in the language of the page; they are fetched only once. */
export function allAlgorithms(): Promise<Algorithm[]> {
  const { language } = i18n;
  const asked = algorithms.get(language);
  if (asked) return asked;
  const answer = fetchAlgorithms(language);
  answer.catch(() => algorithms.delete(language));
  algorithms.set(language, answer);
  return answer;
}

export const presetsAddress = `${TASKS}/presets`;

export const allPresets = (): Promise<Preset[]> => getJson(presetsAddress);

export const presetAddress = (name: string): string => `${presetsAddress}/${encodeURIComponent(name)}`;

export const getPreset = (name: string): Promise<Preset> => getJson(presetAddress(name));

export const presetBody = ({ steps, output }: Work): { params: Params } => ({
  params: {
    steps: steps.map(({ algorithm, params }) => ({ algorithm, params })),
    ...(Object.keys(output).length > 0 ? { output } : {}),
  },
});

export const savePreset = (name: string, work: Work): Promise<Preset> => sendJson('PUT', presetAddress(name), presetBody(work));

export async function deletePreset(name: string): Promise<void> {
  await send(presetAddress(name), { method: 'DELETE' });
}
