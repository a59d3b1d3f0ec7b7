/** Deleting files and bringing them back, the same from every screen. */

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
  /** Asked before files are deleted for good, on a server without a trash. */
  question = $state.raw<Question | null>(null);
  busy = $state(false);
  /** How often files were restored, for a screen that shows the trash. */
  restores = $state(0);
  /** What Ctrl+Z brings back, the last deletion last. */
  private done: number[][] = [];
  private hasTrash: boolean | null = null;

  /** Delete files; return whether they are gone. */
  async delete(ids: readonly number[]): Promise<boolean> {
    if (ids.length === 0 || this.busy) return false;
    this.busy = true;
    try {
      this.hasTrash ??= (await trashSeconds()) > 0;
      if (!this.hasTrash && !(await this.ask(ids.length))) return false;
      const deleted = await deleteFiles(ids);
      // Those that somebody else has deleted are not there either.
      const gone = new Set(ids);
      fileList.removed(gone);
      selection.drop(gone);
      this.tell(deleted);
      return true;
    } catch (error) {
      toasts.show(`${i18n.t.notDeleted(ids.length)}: ${explain(error)}`, 'error');
      // Of very many files some may be deleted.
      fileList.refresh();
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** Bring back what was deleted last. */
  async undo(): Promise<void> {
    const ids = this.done.pop();
    // Without an answer it can be tried again.
    if (ids && !(await this.restore(ids))) this.done.push(ids);
  }

  /** Take files out of the trash; return whether this worked. */
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
    // The key is named by its place: with a Russian layout it is another letter.
    const isUndo = event.code === 'KeyZ' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    if (!isUndo || inField || this.done.length === 0) return;
    event.preventDefault();
    void this.undo();
  };

  private tell({ ids, restorable }: { ids: number[]; restorable: boolean }): void {
    if (ids.length === 0) return;
    this.hasTrash = restorable;
    if (!restorable) {
      toasts.show(i18n.t.deletedForGood(ids.length));
      return;
    }
    this.done.push(ids);
    const undo = (): void => {
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
