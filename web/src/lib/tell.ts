import { explain } from './errors';
import { i18n } from './i18n/i18n.svelte';
import { Outdated } from './latest';
import { toasts } from './state/toasts.svelte';

/** Show a message that says why a part of the page could not be fetched. */
export function tell(error: unknown): void {
  const reload = error instanceof Outdated ? { name: i18n.t.reload, run: () => location.reload() } : null;
  toasts.show(explain(error), 'error', reload);
}
