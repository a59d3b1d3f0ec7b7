/** Single-key shortcuts that work everywhere except in text fields. */

import { router } from '../router.svelte';
import { keep, kept } from '../storage';

export type ShortcutName = 'search' | 'upload' | 'download' | 'share' | 'run';
export const SHORTCUT_KEYS: Record<ShortcutName, string> = { search: '/', upload: 'U', download: 'D', share: 'S', run: 'R' };

type Actions = Partial<Record<ShortcutName, () => void>>;

const BY_KEY = new Map(Object.entries(SHORTCUT_KEYS).map(([name, key]) => [key, name as ShortcutName]));
const WRITES = 'input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]';

/** Return the key on a Latin keyboard: other layouts produce other letters. */
function keyOf({ key, code, shiftKey }: KeyboardEvent): string {
  if (/^[a-z/?]$/i.test(key)) return key.toUpperCase();
  if (code === 'Slash' && /^[.,]$/.test(key)) return shiftKey ? '?' : '/';
  return /^Key[A-Z]$/.test(code) ? code.slice(3) : '';
}

class Shortcuts {
  /** Users of speech input can turn shortcuts off, because spoken words would trigger them (WCAG 2.1.4). */
  enabled = $state(kept('keys', true));
  helpIsOpen = $state(false);
  private readonly screens: Actions[] = [];
  /** The shortcut to run once the gallery is shown. */
  private pending: ShortcutName | null = null;

  /** Bind keys to actions; return a function that unbinds them. */
  on(actions: Actions): () => void {
    this.screens.push(actions);
    const wanted = this.pending && actions[this.pending];
    if (wanted) {
      this.pending = null;
      wanted();
    }
    return () => void this.screens.splice(this.screens.indexOf(actions), 1);
  }

  enable(enabled: boolean): void {
    this.enabled = enabled;
    keep('keys', enabled);
  }

  onKey = (event: KeyboardEvent): void => {
    if (!this.enabled || event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const isBusy = (event.target as Element).closest(WRITES) !== null || document.querySelector('dialog[open]') !== null;
    if (isBusy) return;
    const key = keyOf(event);
    const name = BY_KEY.get(key);
    if (key === '?') this.helpIsOpen = true;
    else if (!name || !this.act(name)) return;
    // The key must not be typed into the field that gets the focus.
    event.preventDefault();
  };

  private act(name: ShortcutName): boolean {
    const action = this.screens.findLast((actions) => actions[name])?.[name];
    if (action) {
      action();
      return true;
    }
    if (name !== 'search' && name !== 'upload') return false;
    this.pending = name;
    router.go('/files');
    return true;
  }
}

export const shortcuts = new Shortcuts();
