import { connection } from '../state/connection.svelte';
import { session } from '../state/session.svelte';
import { getJson, sendOnce } from './http';
import type { Readiness, Session } from './types';

/** How many questions were asked: only the answer to the newest counts, because an older one may name the owner of before. */
let asked = 0;
/** The timeout of the question: it is asked again when the server answers. */
const LONGEST_MS = 10_000;

/** Request the user's identity. A server without access control answers 404; then no key is needed. */
export async function askSession(): Promise<void> {
  const question = ++asked;
  const response = await fetch('/api/session', { signal: AbortSignal.timeout(LONGEST_MS) }).catch(() => null);
  const who = response?.ok ? await (response.json() as Promise<Session>).catch(() => null) : null;
  if (question !== asked) return;
  if (who) session.begin(who);
  else if (response?.status === 401) session.end();
  else if (response?.status === 404) session.beginOpen();
  else if (response?.ok !== false || response.status >= 500) connection.lost();
}

export async function signIn(key: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  const response = await sendOnce('/api/session', { method: 'POST', headers, body: JSON.stringify({ key }) });
  asked += 1;
  session.begin((await response.json()) as Session);
}

export async function signOut(): Promise<void> {
  await sendOnce('/api/session', { method: 'DELETE' });
  session.leave();
  await askSession();
}

export const readiness = (service: string): Promise<Readiness> =>
  fetch(`${service}/readyz`, { cache: 'no-store', signal: AbortSignal.timeout(LONGEST_MS) }).then((response) => response.json() as Promise<Readiness>);

export const version = async (service: string): Promise<string> =>
  (await getJson<{ info: { version: string } }>(`${service}/openapi.json`)).info.version;
