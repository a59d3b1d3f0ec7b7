/** Which files are selected. A range goes from the anchor, which is where the last plain choice was. */

import { SvelteMap } from 'svelte/reactivity';
import type { FileRow } from '../api/types';

class Selection {
  readonly files = new SvelteMap<number, FileRow>();
  private anchor: number | null = null;

  get size(): number {
    return this.files.size;
  }

  get ids(): number[] {
    return [...this.files.keys()];
  }

  get bytes(): number {
    let sum = 0;
    for (const file of this.files.values()) sum += file.size;
    return sum;
  }

  has(id: number): boolean {
    return this.files.has(id);
  }

  toggle(file: FileRow): void {
    if (!this.files.delete(file.id)) this.files.set(file.id, file);
    this.anchor = file.id;
  }

  /** Select from the anchor to this file, in the order of `items`. */
  extend(items: readonly FileRow[], file: FileRow): void {
    const from = items.findIndex((item) => item.id === this.anchor);
    const to = items.findIndex((item) => item.id === file.id);
    if (from < 0 || to < 0) {
      this.toggle(file);
      return;
    }
    for (const item of items.slice(Math.min(from, to), Math.max(from, to) + 1)) this.files.set(item.id, item);
  }

  all(items: readonly FileRow[]): void {
    for (const item of items) this.files.set(item.id, item);
  }

  drop(ids: Iterable<number>): void {
    for (const id of ids) this.files.delete(id);
  }

  clear(): void {
    this.files.clear();
    this.anchor = null;
  }
}

export const selection = new Selection();
