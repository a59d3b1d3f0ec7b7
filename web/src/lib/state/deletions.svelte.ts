/** Deletes and restores files in the same way from every screen. */

import { deleteFiles, restoreFiles, trashSeconds } from '../api/files';
import { explain } from '../errors';
import { i18n } from '../i18n/i18n.svelte';
import { fileList } from './files.svelte';
import { selection } from './selection.svelte';
import { toasts } from './toasts.svelte';

interface Question {
  count: number;
  answer: (isYes: boolean) => void;
}

class Deletions {
  /** The confirmation question before a permanent deletion, on a server without a trash. */
  question = $state.raw<Question | null>(null);
  busy = $state(false);
  /** The files that are being deleted, or wait until the earlier ones are. */
  private readonly leaving = new Set<number>();
  private last: Promise<unknown> = Promise.resolve();
  /** Counts restorations, so that the trash screen notices them. */
  restores = $state(0);
  /** The deletions that Ctrl+Z undoes, the latest last. */
  private done: number[][] = [];
  private hasTrash: boolean | null = null;

  /** Delete files, after those of earlier calls; return whether this succeeded. */
  async delete(ids: readonly number[]): Promise<boolean> {
    const added = ids.filter((id) => !this.leaving.has(id));
    if (added.length === 0) return false;
    for (const id of added) this.leaving.add(id);
    this.busy = true;
    const deletion = this.last.then(() => this.deleteNow(added));
    this.last = deletion;
    const isDone = await deletion;
    for (const id of added) this.leaving.delete(id);
    this.busy = this.leaving.size > 0;
    return isDone;
  }

  /** Undo the last deletion. */
  async undo(): Promise<void> {
    const ids = this.done.pop();
    // If the request failed, allow another attempt.
    if (ids && !(await this.restore(ids))) this.done.push(ids);
  }

  /** Restore files from the trash; return whether this succeeded. */
  async restore(ids: readonly number[]): Promise<boolean> {
    try {
      const restored = await restoreFiles(ids);
      if (restored.length > 0) toasts.show(i18n.t.restored(restored.length));
      else toasts.show(i18n.t.notRestored, 'error');
      fileList.refresh();
      this.restores += 1;
      return true;
    } catch (error) {
      toasts.show(explain(error), 'error');
      return false;
    }
  }

  onKey = (event: KeyboardEvent): void => {
    const inField = (event.target as Element).closest('input, textarea, select, dialog') !== null;
    // Compare the key's position: a Russian layout produces another letter.
    const isUndo = event.code === 'KeyZ' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    if (!isUndo || inField || this.done.length === 0) return;
    event.preventDefault();
    void this.undo();
  };

  private async deleteNow(ids: readonly number[]): Promise<boolean> {
    try {
      this.hasTrash ??= (await trashSeconds()) > 0;
      if (!this.hasTrash && !(await this.ask(ids.length))) return false;
      const deleted = await deleteFiles(ids);
      // Include files that somebody else has deleted.
      const gone = new Set(ids);
      fileList.removed(gone);
      selection.drop(gone);
      this.announce(deleted);
      return true;
    } catch (error) {
      toasts.show(`${i18n.t.notDeleted(ids.length)}: ${explain(error)}`, 'error');
      // If there were very many files, some may have been deleted.
      fileList.refresh();
      return false;
    }
  }

  private announce({ ids, restorable }: { ids: number[]; restorable: boolean }): void {
    if (ids.length === 0) return;
    this.hasTrash = restorable;
    if (!restorable) {
      toasts.show(i18n.t.deletedForGood(ids.length));
      return;
    }
    this.done.push(ids);
    const undo = (): void => {
      // The shortcut may have restored them.
      if (!this.done.includes(ids)) return;
      this.done = [...this.done.filter((other) => other !== ids), ids];
      void this.undo();
    };
    toasts.show(i18n.t.deleted(ids.length), 'plain', { name: i18n.t.undo, run: undo });
  }

  private ask(count: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.question = {
        count,
        answer: (isYes) => {
          this.question = null;
          resolve(isYes);
        },
      };
    });
  }
}

export const deletions = new Deletions();
