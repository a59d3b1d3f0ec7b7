import { connection } from '../state/connection.svelte';
import { session } from '../state/session.svelte';
import { getJson, sendOnce } from './http';
import type { Readiness, Session } from './types';

/** Request the user's identity. A server without access control answers 404; then no key is needed. */
export async function askSession(): Promise<void> {
  const response = await fetch('/api/session').catch(() => null);
  if (response?.ok) session.begin((await response.json()) as Session);
  else if (response?.status === 401) session.end();
  else if (response?.status === 404) session.beginOpen();
  else if (!response || response.status >= 500) connection.lost();
}

export async function signIn(key: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  const response = await sendOnce('/api/session', { method: 'POST', headers, body: JSON.stringify({ key }) });
  session.begin((await response.json()) as Session);
}

export async function signOut(): Promise<void> {
  await sendOnce('/api/session', { method: 'DELETE' });
  await askSession();
}

export const readiness = (service: string): Promise<Readiness> =>
  fetch(`${service}/readyz`, { cache: 'no-store' }).then((response) => response.json() as Promise<Readiness>);

export const version = async (service: string): Promise<string> =>
  (await getJson<{ info: { version: string } }>(`${service}/openapi.json`)).info.version;
