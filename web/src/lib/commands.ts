/** Shows a request as a Python program or as a `pixmill` command. */

import { FILES } from './api/files';
import { presetAddress, presetBody, type Work } from './api/tasks';
import type { Json, Params } from './api/types';
import { quoted, type Request } from './curl';

const EXAMPLE = 'photo.jpg';

export interface Command extends Request {
  /** The run that the request starts; the client and the command line have their own functions for it. */
  run?: { fileIds: readonly number[]; work: Work };
  /** The files to move, each with its own request, as in `each` for curl. */
  move?: { fileIds: readonly number[]; folder: string };
  /** The folder for the file to upload, which the user names: the commands upload `photo.jpg`. */
  upload?: { folder: string };
}

/** Return the command that moves files, with the data for each form. */
export function moveOf(fileIds: readonly number[], folder: string): Command {
  return { path: FILES, method: 'PATCH', body: { folder }, each: fileIds, move: { fileIds, folder } };
}

/** Return the command that uploads a file into a folder. */
export function uploadOf(folder: string): Command {
  const form = { ...(folder ? { folder } : {}), file: `@${EXAMPLE}` };
  return { path: `${FILES}/`, method: 'POST', form, upload: { folder } };
}

/** Return the commands that delete files, restore them, or delete them from the trash for good. */
export const deleteOf = (ids: readonly number[]): Command => ({ path: `${FILES}/delete`, method: 'POST', body: { ids } });
export const restoreOf = (ids: readonly number[]): Command => ({ path: `${FILES}/restore`, method: 'POST', body: { ids } });
/** Without ids, the whole trash. */
export const removeOf = (ids: readonly number[] | null): Command => ({ path: `${FILES}/trash/empty`, method: 'POST', body: ids ? { ids } : {} });

/** Return the commands that save and delete a preset. */
export const savePresetOf = (name: string, work: Work): Command => ({ path: presetAddress(name), method: 'PUT', body: presetBody(work) });
export const deletePresetOf = (name: string): Command => ({ path: presetAddress(name), method: 'DELETE' });

/** Return a JSON value as a Python literal. */
function literal(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${literal(part)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}

export function python({ path, method = 'GET', body, save, run, move, upload }: Command): string {
  const server = JSON.stringify(location.origin);
  const within = (imports: string[], lines: string[]): string =>
    [...imports, '', `with Pixmill(${server}) as px:`, ...lines.map((line) => `    ${line}`), ''].join('\n');
  if (run) {
    const { algorithm, params } = body as { algorithm: string; params: Params };
    const call = `px.run([${run.fileIds.join(', ')}], ${JSON.stringify(algorithm)}, params=${literal(params)})`;
    return within(['from pixmill import Pixmill'], [`run = ${call}`, 'run.wait()', 'print(run.save("out"))']);
  }
  if (move) {
    const update = `    px.files.update(file_id, folder=${JSON.stringify(move.folder)})`;
    return within(['from pixmill import Pixmill'], [`for file_id in [${move.fileIds.join(', ')}]:`, update]);
  }
  if (upload) {
    const folder = upload.folder ? `, folder=${JSON.stringify(upload.folder)}` : '';
    return within(['from pixmill import Pixmill'], [`print(px.files.upload("${EXAMPLE}"${folder}).id)`]);
  }
  const address = new URL(path, location.origin);
  const query = [...address.searchParams].map(([name, value]) => `(${JSON.stringify(name)}, ${JSON.stringify(value)})`);
  const parts = [JSON.stringify(method), JSON.stringify(address.pathname)];
  if (query.length > 0) parts.push(`query=[${query.join(', ')}]`);
  if (body !== undefined) parts.push(`headers={"Content-Type": "application/json"}`, `body=json.dumps(${literal(body)}).encode()`);
  const call = `px.request(${parts.join(', ')})`;
  const imports = ['from pixmill import Pixmill'];
  if (body !== undefined) imports.unshift('import json', '');
  if (!save) return within(imports, [`print(${call}.body.decode())`]);
  return within(['from pathlib import Path', '', ...imports], [`Path(${JSON.stringify(save)}).write_bytes(${call}.body)`]);
}

export function commandLine({ path, method = 'GET', body, save, run, move, upload }: Command): string {
  const server = `--url ${quoted(location.origin)}`;
  // Without `--`, a folder that starts with a hyphen would be an option.
  if (move) return `pixmill mv ${server} -- ${move.fileIds.join(' ')} ${quoted(move.folder || '/')}`;
  if (upload) return `pixmill put ${server}${upload.folder ? ` --folder=${quoted(upload.folder)}` : ''} ${EXAMPLE}`;
  if (run) {
    const steps = run.work.steps.map(({ algorithm, params }) => words(algorithm, params));
    const output = assignments(run.work.output);
    if (output && steps.every((step) => step !== null)) {
      const set = output.map((assignment) => ` --set ${quoted(`output.${assignment}`)}`).join('');
      return `pixmill run ${quoted(steps.join(' | '))} ${run.fileIds.join(' ')}${set} -o out ${server}`;
    }
  }
  const address = new URL(path, location.origin);
  const query = [...address.searchParams].map(([name, value]) => ` -f ${quoted(`${name}=${value}`)}`).join('');
  const call = `pixmill api ${method} ${quoted(address.pathname)}${query} ${server}`;
  if (body !== undefined) {
    return `printf %s ${quoted(JSON.stringify(body))} | ${call} -H 'Content-Type: application/json' --input -`;
  }
  return save ? `${call} > ${quoted(save)}` : call;
}

function words(algorithm: string, params: Params): string | null {
  const parts = assignments(params);
  return parts && [algorithm, ...parts].join(' ');
}

/** Return `name=value` for each parameter, or null if a value is too complex for a line. */
function assignments(params: Params, before = ''): string[] | null {
  const found: string[] = [];
  for (const [name, value] of Object.entries(params)) {
    if (value === null) continue;
    const text = typeof value === 'object' && !Array.isArray(value) ? assignments(value, `${before}${name}.`) : valueOf(value);
    if (text === null) return null;
    if (Array.isArray(text)) found.push(...text);
    else found.push(`${before}${name}=${text}`);
  }
  return found;
}

function valueOf(value: Exclude<Json, null>): string | null {
  if (Array.isArray(value)) return null;
  if (typeof value !== 'string') return String(value);
  // The command line parses a value as JSON if possible, and `|` starts the next step.
  if (/^\s*([-\d"[{]|(true|false|null|NaN|Infinity)\s*$)|["\\|\0-\x1f]/.test(value) || value === '') return null;
  return /^[\w.#-]+$/.test(value) ? value : `"${value}"`;
}
