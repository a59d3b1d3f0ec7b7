/** Notices that the server has another version of the page. */

import { connection } from './connection.svelte';

/** Often enough for a page that stays open for days. */
const LOOK_MS = 10 * 60_000;

class Updates {
  found = $state(false);

  constructor() {
    connection.onReturn('/', () => void this.look());
    setInterval(() => void (document.hidden || this.look()), LOOK_MS);
  }

  /** Compare the page with the server's: the name of its script contains a hash of all that it loads. */
  private async look(): Promise<void> {
    const { src } = document.querySelector<HTMLScriptElement>('script[type=module]')!;
    const page = await fetch('/', { cache: 'no-cache' }).then((response) => (response.ok ? response.text() : '')).catch(() => '');
    // A proxy may answer something else while the server restarts.
    this.found = page.includes('id="app"') && !page.includes(new URL(src).pathname);
  }
}

export const updates = new Updates();
