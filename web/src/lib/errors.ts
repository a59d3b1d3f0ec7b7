import { Problem } from './api/http';
import { i18n } from './i18n/i18n.svelte';
import { Outdated } from './latest';
import { connection } from './state/connection.svelte';

/** Return the error message for the user. */
export function explain(error: unknown): string {
  if (error instanceof Outdated) return i18n.t.outdated;
  if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error);
  if (error.isAway) return i18n.t[connection.away ? connection.silence : 'noAnswer'];
  if (error.type.endsWith(':file-not-found')) return i18n.t.notFound;
  // Pixmill's own answers say why; those of a proxy have no type.
  if (error.status === 503 && error.type === '') return i18n.t.unavailable;
  return error.detail;
}
