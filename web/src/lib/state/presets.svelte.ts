/** The server's presets: those of its configuration, which are read-only, and the owner's own. */

import { allPresets, deletePreset, getPreset, savePreset, type Work } from '../api/tasks';
import type { Preset } from '../api/types';

export interface NamedWork {
  name: string;
  work: Work;
  readOnly: boolean;
}

/** The pattern of names that the server accepts. */
export const PRESET_NAME = '[A-Za-z0-9_][A-Za-z0-9_.\\-]{0,63}';

const named = ({ name, params, read_only }: Preset): NamedWork => ({
  name,
  work: { steps: params.steps, output: params.output ?? {} },
  readOnly: read_only,
});

class Presets {
  list = $state.raw<NamedWork[]>([]);
  /** Counts the changes of the list: an answer to an earlier question must not undo them. */
  private changes = 0;
  /** The changes are sent one after another: two requests at once may arrive in another order. */
  private last: Promise<unknown> = Promise.resolve();

  find(name: string): NamedWork | undefined {
    return this.list.find((preset) => preset.name === name);
  }

  async load(): Promise<void> {
    let before: number;
    let loaded: Preset[];
    do {
      before = this.changes;
      loaded = await allPresets();
    } while (before !== this.changes);
    this.show(loaded.map(named));
  }

  save(name: string, work: Work): Promise<void> {
    return this.afterOthers(() => this.saveNow(name, work));
  }

  /** Give a preset another name; it keeps the steps that it has on the server, perhaps from another tab. */
  rename(before: string, name: string): Promise<void> {
    return this.afterOthers(async () => {
      await this.saveNow(name, named(await getPreset(before)).work);
      await this.removeNow(before);
    });
  }

  remove(name: string): Promise<void> {
    return this.afterOthers(() => this.removeNow(name));
  }

  private afterOthers(change: () => Promise<void>): Promise<void> {
    const changed = this.last.then(change);
    this.last = changed.catch(() => undefined);
    return changed;
  }

  private async saveNow(name: string, work: Work): Promise<void> {
    const saved = named(await savePreset(name, work));
    this.show([...this.list.filter((preset) => preset.name !== name), saved]);
  }

  private async removeNow(name: string): Promise<void> {
    await deletePreset(name);
    this.show(this.list.filter((preset) => preset.name !== name));
  }

  private show(list: NamedWork[]): void {
    this.list = list;
    this.changes += 1;
  }
}

export const presets = new Presets();
