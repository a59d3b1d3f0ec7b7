/** The user of the page. */

import type { Session } from '../api/types';

class SessionState {
  who = $state.raw<Session | null>(null);
  /** Whether the server requires a key. */
  needsKey = $state(false);
  /** Whether the session ended while the user was working: the screen stays, with all that was entered. */
  ended = $state(false);
  /** Whether the page worked before, with a key or without needing one. */
  private worked = false;
  /** Empty on a server without owners; undefined until the server has answered. */
  owner: string | undefined;
  private readonly waiting = new Set<() => void>();
  private readonly leaving = new Set<() => void>();

  end(): void {
    this.ended = this.worked;
    this.needsKey = true;
  }

  begin(who: Session): void {
    this.who = who;
    this.needsKey = who.mode === 'keys' && !who.signed_in;
    if (this.needsKey) {
      this.worked = this.ended = false;
      for (const listener of this.leaving) listener();
      return;
    }
    // The lists, and the requests that wait, belong to the earlier user.
    const owner = who.owner ?? '';
    if (this.owner !== undefined && this.owner !== owner) {
      location.reload();
      return;
    }
    this.beginAs(owner);
  }

  /** Begin on a server without access control. */
  beginOpen(): void {
    this.beginAs('');
  }

  private beginAs(owner: string): void {
    this.owner = owner;
    this.worked = true;
    this.ended = false;
    for (const listener of this.waiting) listener();
  }

  /** Call `listener` each time somebody signs in; return a function that removes it. */
  onBegin(listener: () => void): () => void {
    this.waiting.add(listener);
    return () => this.waiting.delete(listener);
  }

  /** Call `listener` each time the user has signed out. */
  onLeave(listener: () => void): void {
    this.leaving.add(listener);
  }

  /** Wait until somebody signs in, if a key is needed. */
  async ready(signal?: AbortSignal | null): Promise<void> {
    if (!this.needsKey) return;
    await new Promise<void>((resolve, reject) => {
      const stop = this.onBegin(() => {
        stop();
        resolve();
      });
      signal?.addEventListener('abort', () => {
        stop();
        reject(new DOMException('', 'AbortError'));
      });
    });
  }

  get mayWrite(): boolean {
    return this.may('files:write');
  }

  get mayDelete(): boolean {
    return this.may('files:delete');
  }

  get mayKeepPresets(): boolean {
    return this.may('presets:write');
  }

  private may(scope: string): boolean {
    return this.who === null || this.who.mode !== 'keys' || this.who.scopes.includes(scope);
  }
}

export const session = new SessionState();
