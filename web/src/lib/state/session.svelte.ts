/** The user of the page. */

import type { Session } from '../api/types';

class SessionState {
  who = $state.raw<Session | null>(null);
  /** Whether the server requires a key. */
  needsKey = $state(false);

  end(): void {
    this.needsKey = true;
  }

  begin(who: Session): void {
    this.who = who;
    this.needsKey = who.mode === 'keys' && !who.signed_in;
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
