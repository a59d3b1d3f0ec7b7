/** The user of the page. */

import type { Session } from '../api/types';
import { dropPersonal, keep, kept, onChange } from '../storage';

/** Whose the cookie is, for the other tabs: they share it, but each has its own copy of the owner. Null after signing out. */
const OWNER = 'session.owner';

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
    if (who.mode === 'keys' && !who.signed_in) {
      // A session that expired keeps the screen and the steps; one that the user ended, here or in another tab, does not.
      if (this.isDoubtful) this.forget();
      else this.end();
      return;
    }
    this.beginAs(who.owner ?? '');
  }

  /** Note that the user has signed out in this tab. */
  leave(): void {
    keep(OWNER, null);
    this.forget();
  }

  /** Begin on a server without access control. */
  beginOpen(): void {
    this.beginAs('');
  }

  /** Whether another tab has changed the owner of the cookie and this one does not yet know the server's answer. */
  get isDoubtful(): boolean {
    return this.owner !== undefined && kept<string | null>(OWNER, this.owner) !== this.owner;
  }

  private forget(): void {
    this.needsKey = true;
    this.worked = this.ended = false;
    dropPersonal();
    for (const listener of this.leaving) listener();
  }

  private beginAs(owner: string): void {
    // The lists, the steps, and the requests that wait belong to the earlier user, perhaps of a session that has expired.
    const earlier = this.owner ?? kept<string | null>(OWNER, null);
    if (earlier !== null && earlier !== owner) {
      // Before the reload, which the browser may let the user prevent if there are uploads.
      this.forget();
      keep(OWNER, owner);
      location.reload();
      return;
    }
    this.owner = owner;
    keep(OWNER, owner);
    this.needsKey = false;
    this.worked = true;
    this.ended = false;
    for (const listener of this.waiting) listener();
  }

  /** Call `listener` each time the server has said who works here; return a function that removes it. */
  onBegin(listener: () => void): () => void {
    this.waiting.add(listener);
    return () => this.waiting.delete(listener);
  }

  /** Call `listener` each time the user has signed out, or another one has signed in. */
  onLeave(listener: () => void): void {
    this.leaving.add(listener);
  }

  /** Call `listener` each time another tab has signed in or out. */
  onDoubt(listener: () => void): void {
    onChange(OWNER, listener);
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
