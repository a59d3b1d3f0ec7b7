/** Keeps the place of the keyboard: when what has the focus disappears, browsers begin again at the top of the page. */

import { tick } from 'svelte';

const FOCUSABLE = ':is(a[href], summary, button, input, select, textarea):not(:disabled)';

const isLost = (): boolean => document.activeElement === document.body;

const firstOf = (place: Element | undefined): HTMLElement | null | undefined => place?.querySelector<HTMLElement>(FOCUSABLE);

/** Focus what the user works with now: the last dialog, the gallery, or the screen. */
export function focusScreen(): void {
  const dialog = [...document.querySelectorAll('dialog[open]')].at(-1);
  (firstOf(dialog) ?? document.querySelector<HTMLElement>('#content [role=listbox]') ?? document.getElementById('content'))?.focus();
}

/**
 * An attachment: if the child with the focus disappears, such as a row, focus the one that takes its place; if the whole element
 * disappears, the screen.
 */
export function keepsFocus(element: HTMLElement): () => void {
  /** What has the focus, or had it until it was disabled or removed. */
  let last: HTMLElement | null = null;
  let place = 0;
  let path = '';

  function note(target: EventTarget | null): void {
    last = target as HTMLElement | null;
    place = [...element.children].findIndex((child) => child.contains(last));
    path = location.pathname;
  }
  // A mouse has its place anyway, and its user may press a key that would act on what got the focus.
  element.addEventListener('focusin', ({ target }) => note((target as Element).matches(':focus-visible') ? target : null));
  element.addEventListener('keydown', ({ target }) => note(target));
  // Later, because browsers differ in whether what is removed or disabled loses the focus with an event.
  element.addEventListener('focusout', () =>
    queueMicrotask(() => {
      if (last?.isConnected && !last.matches(':disabled') && document.activeElement !== last) last = null;
    }),
  );
  const observer = new MutationObserver(() => {
    if (!last || last.isConnected || !isLost()) return;
    const next = firstOf(element.children[place]) ?? firstOf(element.lastElementChild ?? element);
    if (next) next.focus();
    else focusScreen();
  });
  observer.observe(element, { childList: true, subtree: true });

  return () => {
    observer.disconnect();
    // The next screen decides itself what it focuses.
    void tick().then(() => {
      if (last && !last.isConnected && isLost() && location.pathname === path) focusScreen();
    });
  };
}
