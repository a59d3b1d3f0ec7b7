/** What a JSON Schema refers to. Apart from the form fields, because every screen needs it, and only some have forms. */

import type { Schema } from '../api/types';

export function resolved(schema: Schema, root: Schema): Schema {
  if (!schema.$ref) return schema;
  const name = schema.$ref.replace('#/$defs/', '');
  return { ...resolved(root.$defs?.[name] ?? {}, root), ...without(schema, '$ref') };
}

export function without(schema: Schema, key: keyof Schema): Schema {
  const rest = { ...schema };
  delete rest[key];
  return rest;
}
