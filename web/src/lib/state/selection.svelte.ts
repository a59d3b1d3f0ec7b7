/** The selected files. A range starts at the anchor, the file selected last without Shift. */

class Selection {
  // Replaced as a whole: a reactive set of 100,000 ids would be slow.
  private chosen = $state.raw<ReadonlySet<number>>(new Set());
  private anchor: number | null = null;
  /** Whether a tap selects instead of opening, for touch screens without Ctrl. */
  choosing = $state(false);

  get size(): number {
    return this.chosen.size;
  }

  get ids(): number[] {
    return [...this.chosen];
  }

  has(id: number): boolean {
    return this.chosen.has(id);
  }

  toggle(id: number): void {
    const chosen = new Set(this.chosen);
    if (!chosen.delete(id)) chosen.add(id);
    this.chosen = chosen;
    this.anchor = id;
  }

  /** Select the files from the anchor to this file, in the order of the list. */
  extend(list: readonly number[], id: number): void {
    const from = this.anchor === null ? -1 : list.indexOf(this.anchor);
    const to = list.indexOf(id);
    if (from < 0 || to < 0) this.toggle(id);
    else this.all(list.slice(Math.min(from, to), Math.max(from, to) + 1));
  }

  all(ids: readonly number[]): void {
    const chosen = new Set(this.chosen);
    for (const id of ids) chosen.add(id);
    this.chosen = chosen;
  }

  drop(ids: Iterable<number>): void {
    const chosen = new Set(this.chosen);
    for (const id of ids) chosen.delete(id);
    if (chosen.size < this.chosen.size) this.chosen = chosen;
  }

  clear(): void {
    this.chosen = new Set();
    this.choosing = false;
    this.anchor = null;
  }
}

export const selection = new Selection();
