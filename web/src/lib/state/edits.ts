/** Changes of files' names, comments and folders. They are sent one after another: two requests at once may arrive in another order. */

import { changeFile, FILES } from '../api/files';
import { Problem } from '../api/http';
import type { FileRow } from '../api/types';
import { explain } from '../errors';
import { i18n } from '../i18n/i18n.svelte';
import { connection } from './connection.svelte';
import { fileList } from './files.svelte';
import { session } from './session.svelte';
import { toasts } from './toasts.svelte';

export type Field = 'name' | 'comment' | 'folder';

interface Edit {
  value: string;
  onChanged: (file: FileRow) => void;
}

class Edits {
  /** What is not stored yet, by file. */
  private readonly unsaved = new Map<number, Map<Field, Edit>>();
  private readonly sending = new Set<number>();
  /** The last edit of each field, so that a late retry does not undo a newer one. */
  private readonly last = new Map<string, Edit>();

  constructor() {
    session.onLeave(() => {
      this.unsaved.clear();
      this.last.clear();
    });
    addEventListener('beforeunload', (event) => {
      if (this.unsaved.size > 0) event.preventDefault();
    });
  }

  /** Return what the user entered last in a field, stored or not. */
  latest(file: FileRow, field: Field): string {
    return this.unsaved.get(file.id)?.get(field)?.value ?? file[field] ?? '';
  }

  /** Store a field, if the server is away as soon as it answers again; call `onChanged` with the new row. */
  async save(id: number, field: Field, value: string, onChanged: (file: FileRow) => void): Promise<void> {
    const edited = this.unsaved.get(id) ?? new Map<Field, Edit>();
    const edit = { value, onChanged };
    this.unsaved.set(id, edited.set(field, edit));
    this.last.set(`${id} ${field}`, edit);
    if (this.sending.has(id)) return;
    this.sending.add(id);
    for (let next = this.next(id); next; next = this.next(id)) await this.send(id, ...next);
    this.sending.delete(id);
  }

  private next(id: number): [Field, Edit] | undefined {
    return this.unsaved.get(id)?.entries().next().value;
  }

  private async send(id: number, field: Field, edit: Edit): Promise<void> {
    const { value, onChanged } = edit;
    try {
      const changed = await changeFile(id, { [field]: value });
      this.settle(id, field, edit);
      fileList.changed(changed);
      onChanged(changed);
      toasts.show(i18n.t.saved);
    } catch (error) {
      const mayPass = error instanceof Problem && error.isPassing;
      if (mayPass && !(await connection.isThere())) {
        await connection.returned(FILES);
        return;
      }
      this.settle(id, field, edit);
      const isLast = (): boolean => this.last.get(`${id} ${field}`) === edit;
      const retry = { name: i18n.t.retry, run: () => void (isLast() && this.save(id, field, value, onChanged)) };
      toasts.show(explain(error), 'error', mayPass ? retry : null);
    }
  }

  /** Forget what was sent, unless the user has entered something else since. */
  private settle(id: number, field: Field, edit: Edit): void {
    const edited = this.unsaved.get(id);
    if (edited?.get(field) === edit) edited.delete(field);
    if (edited?.size === 0) this.unsaved.delete(id);
  }
}

export const edits = new Edits();
