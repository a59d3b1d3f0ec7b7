/** Keeps the place of the keyboard: when what has the focus disappears, browsers begin again at the top of the page. */

import { tick } from 'svelte';

const FOCUSABLE = ':is(a[href], summary, button, input, select, textarea):not(:disabled)';

/** Return what got the focus by a key. A mouse has its place anyway, and its user may press a key that would act on what has the focus. */
const visible = (target: EventTarget | null): HTMLElement | null =>
  (target as HTMLElement).matches(':focus-visible') ? (target as HTMLElement) : null;

const isLost = (): boolean => document.activeElement === document.body;

/** Focus what the user works with now: the last dialog, the gallery, or the screen. */
export function focusScreen(): void {
  const dialog = [...document.querySelectorAll('dialog[open]')].at(-1);
  const gallery = document.querySelector<HTMLElement>('#content [role=listbox]');
  (dialog?.querySelector<HTMLElement>(FOCUSABLE) ?? gallery ?? document.getElementById('content'))?.focus();
}

/** Give the focus back to a button that was disabled while it worked. */
export function returnFocus(): void {
  let last: HTMLElement | null = null;
  document.addEventListener('focusin', ({ target }) => (last = visible(target)));
  // The user went elsewhere; a button that is disabled only loses the focus.
  document.addEventListener('focusout', ({ target }) => {
    if ((target as HTMLElement).matches(':enabled')) last = null;
  });
  const observer = new MutationObserver(() => isLost() && last?.matches(':enabled') && last.focus({ preventScroll: true }));
  observer.observe(document.body, { subtree: true, attributeFilter: ['disabled'] });
}

/**
 * An attachment: if the child with the focus disappears, such as a row, focus the same control of the one that takes its place; if the
 * whole element disappears, the screen.
 */
export function keepsFocus(element: HTMLElement): () => void {
  /** What has the focus, or had it until it was disabled or removed. */
  let last: HTMLElement | null = null;
  let place = 0;
  /** Its place among the controls of its child, from the end, because a child may begin with controls that others lack. */
  let order = 0;
  let path = '';
  const attached = new AbortController();

  const controlsOf = (child: Element | undefined): HTMLElement[] =>
    [...element.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((control) => child?.contains(control));

  function note(target: EventTarget | null): void {
    last = target as HTMLElement | null;
    place = [...element.children].findIndex((child) => child.contains(last));
    if (place < 0) last = null;
    const controls = controlsOf(element.children[place]);
    order = controls.indexOf(last!) - controls.length;
    path = location.pathname;
  }
  const noteVisible = ({ target }: Event): void => note(visible(target));
  for (const type of ['focusin', 'pointerdown']) document.addEventListener(type, noteVisible, attached);
  element.addEventListener('keydown', ({ target }) => note(target));
  const observer = new MutationObserver(() => {
    if (!last || last.isConnected) return;
    // The user was elsewhere.
    if (!isLost()) return note(null);
    const rows = [...element.children].map(controlsOf);
    const nearest = [...rows.slice(place), ...rows.slice(0, place).reverse()].find((controls) => controls[0]) ?? [];
    (nearest.at(order) ?? nearest[0] ?? { focus: focusScreen }).focus();
  });
  observer.observe(element, { childList: true, subtree: true });

  return () => {
    attached.abort();
    observer.disconnect();
    // The next screen decides itself what it focuses.
    void tick().then(() => {
      if (last && !last.isConnected && isLost() && location.pathname === path) focusScreen();
    });
  };
}
