/** The types of the API's responses (docs/api). */

export interface FileRow {
  id: number;
  name: string;
  extension: string;
  comment: string;
  size: number;
  sha256: string;
  media_type: string;
  width: number | null;
  height: number | null;
  created_at: string;
  updated_at: string;
  origin: 'upload' | 'result';
  source_id?: number;
  task_id?: number;
  folder?: string;
  taken_at?: string;
  expires_at?: string;
}

export interface TrashedFile extends FileRow {
  deleted_at: string;
  restore_until: string;
}

/** All files of a list: their ids, and the width divided by the height for images. */
export interface FileIndex {
  ids: number[];
  ratios: (number | null)[];
}

export interface FileEvent {
  id: number;
  change: 'created' | 'changed' | 'deleted';
  file?: FileRow | null;
}

export type TaskStatus = 'pending' | 'processing' | 'finished' | 'error' | 'cancelled';

export interface Task {
  id: number;
  source_id: number;
  result_id: number | null;
  status: TaskStatus;
  algorithm: string;
  params: Params | null;
  /** The reason of the failure in English; `problem.detail` is in the language of the page. */
  error?: string;
  problem?: { type: string; detail: string };
  batch_id: number | null;
  preset: string | null;
  source_name: string;
  attempt: number;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
}

export interface TaskEvent {
  id: number;
  status: TaskStatus;
  result_id: number | null;
  batch_id: number | null;
}

/** Tasks that were created together; the page calls them a run. */
export interface Batch {
  id: number;
  status: 'running' | 'ended';
  algorithm: string;
  params: Params | null;
  preset: string | null;
  tasks: number;
  counts: Record<TaskStatus, number>;
  created_at: string;
}

/** A group of errors that differ only in their values, with the first of them. */
export interface Cause {
  /** The common sentence, with … for each value. */
  cause: string;
  /** The type of their problems; null for tasks of earlier versions. */
  type: string | null;
  /** Selects its tasks in a list. */
  key: string;
  tasks: number;
  task_id: number;
  /** In English; `problem.detail` is in the language of the page. */
  error: string;
  problem: { detail: string } | null;
}

export interface BatchDetail extends Batch {
  started_at: string | null;
  ended_at: string | null;
  rate: number;
  seconds_left: number | null;
  errors: Cause[];
}

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Params = { [key: string]: Json };

export interface Step {
  algorithm: string;
  params: Params;
}

export interface Algorithm {
  name: string;
  title: string;
  category: string;
  category_title: string;
  summary: string;
  result: 'image' | 'json' | 'zip';
  params: Schema;
}

export interface Preset {
  name: string;
  read_only: boolean;
  params: { steps: Step[]; output?: Params | null };
}

export interface Session {
  mode: 'local' | 'keys' | 'open';
  /** Whether people on other machines can do everything without a key. */
  open_to_others: boolean;
  signed_in: boolean;
  owner: string | null;
  key_id: string | null;
  scopes: string[];
}

export interface Readiness {
  status: string;
  dependencies: Record<string, string>;
}

/** The subset of JSON Schema that the algorithms use. */
export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  'x-pixmill'?: { widget?: string; labels?: Record<string, string> };
  type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';
  title?: string;
  description?: string;
  default?: Json;
  examples?: Json[];
  enum?: Json[];
  const?: Json;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}
