/** Names of algorithms, fields and choices. The server sends them in English, because they are part of its API. */

import { words } from '../format';
import { i18n } from './i18n.svelte';

let russian = $state.raw<Record<string, string> | null>(null);
let asked = false;

function translated(name: string): string | null {
  if (i18n.language !== 'ru') return null;
  if (!asked) {
    asked = true;
    void import('./catalog-ru').then((found) => (russian = found.names));
  }
  return russian?.[name] ?? null;
}

/** `round_corners` is “Round corners”. */
export const nameOf = (name: string): string => translated(name) ?? words(name);
