/** A picture with several addresses, the best first: if one fails, the next is tried. */

import { connection } from './connection.svelte';
import { session } from './session.svelte';

export class Picture {
  shown = $state(false);
  private failures = $state(0);

  constructor(private readonly addresses: () => readonly string[]) {
    // What failed may have failed because the server was away or asked for a key.
    $effect(() => {
      if (this.failures === 0) return;
      const stops = this.addresses().map((address) => connection.onReturn(address, this.retry));
      stops.push(session.onBegin(this.retry));
      return () => stops.forEach((stop) => stop());
    });
  }

  get address(): string | undefined {
    return this.addresses()[this.failures];
  }

  /** Whether no address gave a picture, although there are some. */
  get failed(): boolean {
    return this.failures > 0 && this.address === undefined;
  }

  readonly fail = (): void => {
    this.failures += 1;
  };

  readonly retry = (): void => {
    this.failures = 0;
  };
}
