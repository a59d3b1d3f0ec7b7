/** Presets: those of the server, and those that are kept in this browser. */

import { allPresets, type Work } from '../api/tasks';
import { keep, kept } from '../storage';

export interface NamedWork {
  name: string;
  work: Work;
}

class Presets {
  server = $state.raw<NamedWork[]>([]);
  mine = $state.raw<NamedWork[]>(kept<NamedWork[]>('presets', []));

  async load(): Promise<void> {
    const found = await allPresets();
    this.server = found.map(({ name, params }) => ({ name, work: { steps: params.steps, output: params.output ?? {} } }));
  }

  add(name: string, work: Work): void {
    this.mine = [...this.mine.filter((preset) => preset.name !== name), { name, work }];
    keep('presets', this.mine);
  }

  remove(name: string): void {
    this.mine = this.mine.filter((preset) => preset.name !== name);
    keep('presets', this.mine);
  }
}

export const presets = new Presets();
