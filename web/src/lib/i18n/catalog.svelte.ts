/** The server's names of algorithms, choices and parameters, in the language of the page. */

import { untrack } from 'svelte';
import { allAlgorithms, TASKS } from '../api/tasks';
import type { Algorithm, Schema } from '../api/types';
import { words } from '../format';
import { connection } from '../state/connection.svelte';
import { i18n, type Language } from './i18n.svelte';

let named = $state.raw<{ language: Language; names: ReadonlyMap<string, string> } | null>(null);
let asked: Language | null = null;
/** Whether names were wanted and did not arrive. */
let failed = false;

// Nothing else may ask again: what shows a name is not drawn again as long as the name stays the same.
connection.onReturn(TASKS, () => {
  if (failed) void ask(i18n.language);
});

async function ask(language: Language): Promise<void> {
  asked = language;
  failed = false;
  try {
    const names = namesOf(await allAlgorithms());
    if (asked === language) named = { language, names };
  } catch {
    // What asks next asks the server again; until then the names are those of the API.
    if (asked !== language) return;
    asked = null;
    failed = true;
  }
}

/** Return all names. A word has one name as a choice and one as a parameter, the same in every schema. */
function namesOf(algorithms: readonly Algorithm[]): ReadonlyMap<string, string> {
  const models = algorithms.flatMap(({ params }) => [params, ...Object.values(params.$defs ?? {})]);
  const properties = models.flatMap((model: Schema) => Object.entries(model.properties ?? {}));
  const titles = properties.map(([name, { title }]) => [name, title ?? words(name)] as const);
  const labels = properties.flatMap(([, property]) => Object.entries(property['x-pixmill']?.labels ?? {}));
  return new Map([...titles, ...labels, ...algorithms.map(({ name, title }) => [name, title] as const)]);
}

/** Return the name of an algorithm, or else of a choice or a parameter; the words of the API until the server has answered. */
export function nameOf(name: string): string {
  const { language } = i18n;
  if (asked !== language) untrack(() => void ask(language));
  return (named?.language === language ? named.names.get(name) : undefined) ?? words(name);
}
