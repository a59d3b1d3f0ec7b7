/** The server's presets: those of its configuration, which are read-only, and the owner's own. */

import { allPresets, deletePreset, savePreset, type Work } from '../api/tasks';
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

  find(name: string): NamedWork | undefined {
    return this.list.find((preset) => preset.name === name);
  }

  async load(): Promise<void> {
    this.list = (await allPresets()).map(named);
  }

  async save(name: string, work: Work): Promise<void> {
    const saved = named(await savePreset(name, work));
    this.list = [...this.list.filter((preset) => preset.name !== name), saved];
  }

  async remove(name: string): Promise<void> {
    await deletePreset(name);
    this.list = this.list.filter((preset) => preset.name !== name);
  }
}

export const presets = new Presets();
