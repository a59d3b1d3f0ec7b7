/** The choices of a field of the kind `gravity`: the nine places of a picture, and others. */

import type { Schema } from '../api/types';

/** The places as they lie on a picture, row by row. */
export const PLACES: readonly (readonly string[])[] = [
  ['northwest', 'north', 'northeast'],
  ['west', 'center', 'east'],
  ['southwest', 'south', 'southeast'],
];

/** Return the choices besides the places, such as the part that draws the eye. */
export const othersOf = (schema: Schema): string[] =>
  (schema.enum ?? []).filter((choice) => choice !== null).map(String).filter((choice) => !PLACES.flat().includes(choice));

const STEPS: Record<string, readonly [across: number, down: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Where the other choices lie: one after the other in a row below the places, or one below the other at their right. */
type Side = 'below' | 'right';

/** Return all choices as they lie, row by row. At the right, the last of the others is as high as all rows that are left. */
function rowsOf(others: readonly string[], side: Side): readonly (readonly string[])[] {
  return side === 'below' ? [...PLACES, others] : PLACES.map((row, index) => [...row, ...(others[index] ? [others[index]] : others.slice(-1))]);
}

/** Return the choice that lies in a direction, or nothing at the edge. */
function toward(choice: string, [across, down]: readonly [number, number], rows: readonly (readonly string[])[]): string | undefined {
  const row = rows.findIndex((choices) => choices.includes(choice));
  const target = rows[row + down] ?? [];
  return target[Math.min(rows[row]?.indexOf(choice) ?? 0, target.length - 1) + across];
}

/**
 * Return an attachment for a radiogroup of the choices: an arrow key chooses what lies in its direction. Browsers would go through
 * the choices in their order, so that the arrow down chose what is on the right.
 */
export const arrowsChoose = (schema: Schema, side: Side) => (group: HTMLElement): (() => void) => {
  const onkeydown = (event: KeyboardEvent): void => {
    const direction = STEPS[event.key];
    const isModified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (!direction || isModified || !(event.target instanceof HTMLInputElement)) return;
    event.preventDefault();
    const next = toward(event.target.value, direction, rowsOf(othersOf(schema), side));
    const radio = [...group.querySelectorAll('input')].find(({ value }) => value === next);
    radio?.focus();
    radio?.click();
  };
  group.addEventListener('keydown', onkeydown);
  return () => group.removeEventListener('keydown', onkeydown);
};
