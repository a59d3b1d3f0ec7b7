/** Keeps the place of the keyboard: when what has the focus disappears, browsers begin again at the top of the page. */

import { tick } from 'svelte';

const FOCUSABLE = ['a[href]', 'summary', ...['button', 'input', 'select', 'textarea'].map((kind) => `${kind}:not(:disabled)`)].join(', ');

const isLost = (): boolean => document.activeElement === document.body;
const isUsable = (element: HTMLElement): boolean => element.isConnected && !element.matches(':disabled');

/** Focus what the user works with now: the last dialog, the gallery, or the screen. */
export function focusScreen(): void {
  const dialog = [...document.querySelectorAll('dialog[open]')].at(-1);
  const gallery = document.querySelector<HTMLElement>('#content [role=listbox]');
  (dialog ? dialog.querySelector<HTMLElement>(FOCUSABLE) : (gallery ?? document.getElementById('content')))?.focus();
}

function firstOf(child: Element | undefined): HTMLElement | null {
  return child instanceof HTMLElement && child.matches(FOCUSABLE) ? child : (child?.querySelector<HTMLElement>(FOCUSABLE) ?? null);
}

/**
 * An attachment: if the child with the focus disappears, such as a row, focus the one that takes its place; if the whole element
 * disappears, the screen. A control that is disabled for a while gets the focus back.
 */
export function keepsFocus(element: HTMLElement): () => void {
  /** What has the focus, or had it until it was disabled or removed. */
  let last: HTMLElement | null = null;
  let place = 0;
  let path = '';

  function note(target: EventTarget | null): void {
    last = target instanceof HTMLElement ? target : null;
    place = [...element.children].findIndex((child) => child.contains(last));
    path = location.pathname;
  }
  // A mouse has its place anyway, and its user may press a key that would act on what got the focus.
  element.addEventListener('focusin', ({ target }) => note(target instanceof HTMLElement && target.matches(':focus-visible') ? target : null));
  element.addEventListener('keydown', ({ target }) => note(target));
  // Later, because browsers differ in whether what is removed or disabled loses the focus with an event.
  element.addEventListener('focusout', () =>
    queueMicrotask(() => {
      if (last && isUsable(last) && document.activeElement !== last) last = null;
    }),
  );
  const observer = new MutationObserver(() => {
    if (!last || !isLost()) return;
    if (isUsable(last)) last.focus();
    if (last.isConnected) return;
    const child = element.children[Math.min(place, element.children.length - 1)];
    const next = firstOf(child) ?? firstOf(element);
    if (next) next.focus();
    else focusScreen();
  });
  observer.observe(element, { childList: true, subtree: true, attributeFilter: ['disabled'] });

  return () => {
    observer.disconnect();
    // The next screen decides itself what it focuses.
    void tick().then(() => {
      if (last && !last.isConnected && isLost() && location.pathname === path) focusScreen();
    });
  };
}
