/** The color theme: light, dark, or the system's. */

import { keep, kept } from '../storage';

export type Theme = 'system' | 'light' | 'dark';

const ORDER: readonly Theme[] = ['system', 'light', 'dark'];

class ThemeState {
  current = $state<Theme>(kept<Theme>('theme', 'system'));

  constructor() {
    this.apply();
  }

  next(): void {
    this.current = ORDER[(ORDER.indexOf(this.current) + 1) % ORDER.length] ?? 'system';
    keep('theme', this.current);
    this.apply();
  }

  private apply(): void {
    document.documentElement.dataset.theme = this.current;
  }
}

export const theme = new ThemeState();
