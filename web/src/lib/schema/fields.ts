/** The form fields for a part of a JSON Schema. */

import type { Json, Params, Schema } from '../api/types';
import { resolved, without } from './references';

export type Kind =
  | 'boolean'
  | 'choice'
  | 'gravity'
  | 'color'
  | 'number'
  | 'text'
  | 'file'
  | 'files'
  | 'object'
  | 'list'
  | 'variants'
  | 'json';

export interface Field {
  kind: Kind;
  schema: Schema;
  /** Whether the field may be omitted or null. */
  optional: boolean;
  variants: Schema[];
}

const COLOR = /^\^\(#\(\[0-9a-fA-F\]/;
const FILE = /(^|_)file_id$/;

export function fieldOf(name: string, given: Schema, root: Schema): Field {
  const schema = resolved(given, root);
  const alternatives = (schema.anyOf ?? schema.oneOf ?? []).filter(({ required, type }) => !(required && !type));
  const variants = alternatives.map((variant) => resolved(variant, root)).filter(({ type }) => type !== 'null');
  const optional = alternatives.length > variants.length || schema.default !== undefined;
  const [only] = variants;
  if (variants.length === 1 && only) {
    const merged = { ...only, ...without(without(schema, 'anyOf'), 'oneOf') };
    return { ...fieldOf(name, merged, root), optional: true };
  }
  return { kind: kindOf(name, schema, variants, root), schema, optional, variants };
}

function kindOf(name: string, schema: Schema, variants: Schema[], root: Schema): Kind {
  if (variants.length > 1) {
    if (variants.every(({ type }) => type === 'object')) return 'variants';
    return variants.some(({ pattern }) => COLOR.test(pattern ?? '')) ? 'color' : 'json';
  }
  if (schema.enum) return schema.enum.includes('northwest') && schema.enum.includes('center') ? 'gravity' : 'choice';
  switch (schema.type) {
    case 'boolean':
      return 'boolean';
    case 'integer':
      return FILE.test(name) ? 'file' : 'number';
    case 'number':
      return 'number';
    case 'string':
      return COLOR.test(schema.pattern ?? '') ? 'color' : 'text';
    case 'object':
      return 'object';
    case 'array':
      if (name === 'others') return 'files';
      return resolved(schema.items ?? {}, root).type === 'object' ? 'list' : 'json';
    default:
      return 'json';
  }
}

/** Return the server's name for a choice of a field. */
export const labelOf = (schema: Schema, choice: Json): string => schema['x-pixmill']?.labels?.[String(choice)] ?? String(choice);

/** Params that are set elsewhere, once for all steps. */
const ELSEWHERE = new Set(['output', 'source']);

export function propertiesOf(schema: Schema): [string, Schema][] {
  return Object.entries(schema.properties ?? {}).filter(([name]) => !ELSEWHERE.has(name));
}

/** Initial params of algorithms whose own examples are too small for a first try. */
const STARTS: Record<string, Params> = {
  resize: { width: 800, height: 800, fit: 'inside' },
  thumbnail: { width: 256, height: 256, crop: true },
};

/** Return initial params: the algorithm's own example without its ids. */
export function startOf(algorithm: string, schema: Schema): Params {
  const start = STARTS[algorithm];
  if (start) return { ...start };
  const params: Params = {};
  for (const [name, property] of propertiesOf(schema)) {
    const { kind } = fieldOf(name, property, schema);
    const [example] = property.examples ?? [];
    if (example !== undefined && kind !== 'file' && kind !== 'files') params[name] = structuredClone(example);
  }
  return params;
}

/** Return an initial value for a required field. */
export function emptyOf(schema: Schema, root: Schema): Json {
  const found = resolved(schema, root);
  const [example] = found.examples ?? [];
  if (example !== undefined) return structuredClone(example);
  if (found.default !== undefined && found.default !== null) return structuredClone(found.default);
  switch (found.type) {
    case 'object':
      return Object.fromEntries((found.required ?? []).map((name) => [name, emptyOf(found.properties?.[name] ?? {}, root)]));
    case 'array':
      return [];
    case 'boolean':
      return false;
    case 'integer':
    case 'number':
      return found.minimum ?? 0;
    default:
      return '';
  }
}

/** Why params cannot be sent: a required field has no value, or the text of a field is not JSON. */
export type FormProblem = 'required' | 'fieldNotJson';

export function problemOf(schema: Schema, params: Params, root = schema): FormProblem | null {
  const needed = new Set(schema.required);
  if (propertiesOf(schema).some(([name, property]) => isMissing(name, property, params[name], needed.has(name), root))) return 'required';
  return propertiesOf(schema).some(([name, property]) => isUnparsed(fieldOf(name, property, root), params[name], root))
    ? 'fieldNotJson'
    : null;
}

/** Whether a needed value, or one of an entry of a list, is missing. */
export function isMissing(name: string, given: Schema, value: Json | undefined, needed: boolean, root: Schema): boolean {
  if (value === undefined || value === null || value === '') return needed;
  if (!Array.isArray(value)) return false;
  if (value.length === 0) return needed;
  const { kind, schema } = fieldOf(name, given, root);
  if (kind !== 'list') return false;
  const item = resolved(schema.items ?? {}, root);
  return value.some((entry) => typeof entry !== 'object' || entry === null || problemOf(item, entry as Params, root) === 'required');
}

function isUnparsed(field: Field, value: Json | undefined, root: Schema): boolean {
  if (field.kind === 'json') return typeof value === 'string' && !takesText(field);
  if (field.kind !== 'object' || value === null || value === undefined) return false;
  return propertiesOf(field.schema).some(([name, property]) => isUnparsed(fieldOf(name, property, root), (value as Params)[name], root));
}

/** Whether the value of a field that is entered as JSON may be any text. */
export function takesText({ schema, variants }: Field): boolean {
  return (variants.length > 0 ? variants : [schema]).some(({ type }) => type === undefined || type === 'string');
}
