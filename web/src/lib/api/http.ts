/** Requests to the API, with a single function to send them and a single class of errors. */

import { i18n } from '../i18n/i18n.svelte';
import { connection } from '../state/connection.svelte';
import { session } from '../state/session.svelte';

export interface FieldError {
  pointer?: string;
  detail: string;
}

/** An error from the server (RFC 9457), or the lack of an answer. */
export class Problem extends Error {
  constructor(
    readonly type: string,
    readonly status: number,
    readonly detail: string,
    readonly errors: readonly FieldError[] = [],
    readonly requestId: string | null = null,
    /** How long the server asks to wait. */
    readonly waitSeconds: number | null = null,
  ) {
    super(detail);
  }

  get isAway(): boolean {
    return this.status === 0;
  }

  /** Whether the same request may succeed later: a proxy answers so while the server restarts. */
  get isPassing(): boolean {
    return this.isAway || PASSING.has(this.status) || BUSY.some((type) => this.type.endsWith(type));
  }
}

/** The lack of an answer to a request for a path. */
export class NoAnswer extends Problem {
  constructor(readonly path: string) {
    super('no-answer', 0, '');
  }
}

const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** The server is still at work on an earlier request for the same upload, such as one from before a reload. */
const BUSY: readonly string[] = [':idempotency-key-in-use', ':upload-busy'];

/** Return the seconds of a Retry-After header. */
export const secondsOf = (header: string | null | undefined): number | null => (/^\d+$/.test(header ?? '') ? Number(header) : null);

/** Return the header that asks for sentences in the page's language, which may differ from the browser's. */
export const languageHeader = (): { 'Accept-Language': string } => ({ 'Accept-Language': i18n.language });

export async function problemOf(response: Response): Promise<Problem> {
  const requestId = response.headers.get('X-Request-ID');
  try {
    const document = (await response.json()) as { type?: string; detail?: string; title?: string; errors?: FieldError[] };
    const detail = document.detail ?? document.title ?? String(response.status);
    return new Problem(document.type ?? '', response.status, detail, document.errors ?? [], requestId);
  } catch {
    return new Problem('', response.status, `${response.status} ${response.statusText}`, [], requestId);
  }
}

/** Note that the service of a path does not answer; return the Problem that says so. */
function lost(path: string): Problem {
  connection.lost(path);
  return new NoAnswer(path);
}

/** Return the reason why there is no answer: what the browser reports of a lost connection or a timeout is a Problem. */
const reasonOf = (error: unknown, path: string): unknown =>
  /^(Type|Timeout)Error$/.test((error as Error).name) ? lost(path) : error;

/** Whether a request may be given up, because it only asks, or does no harm if the user repeats it. */
const mayEnd = (path: string, { method = 'GET' }: RequestInit): boolean =>
  method === 'GET' || (method === 'POST' && /\/(lookup|preview|session|unlock)$/.test(path));

/** Answers that may be those of a proxy, for a service that does not answer. */
const OF_PROXIES = new Set([502, 503, 504]);

/** How long a body may stand still: it may be long, and the line slow. */
const STILL_MS = 30_000;

/** Return a response with its whole body; throw a Problem if the connection breaks off within it or, with a limit, if it stands still. */
async function whole(response: Response, path: string, limited: boolean): Promise<Response> {
  const reader = response.body?.getReader();
  if (!reader) return response;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    let timer: ReturnType<typeof setInterval> | undefined;
    const end = new Promise<never>((_, reject) => {
      // The service itself may be there, so only this request is lost.
      if (limited) timer = setInterval(() => connection.isFull || reject(new NoAnswer(path)), STILL_MS);
    });
    try {
      const { done, value } = await Promise.race([reader.read(), end]);
      // Some responses may not have a body, not even an empty one.
      if (done) return new Response(parts.length > 0 ? new Blob(parts) : null, response);
      parts.push(value);
    } catch (error) {
      void reader.cancel().catch(() => undefined);
      throw reasonOf(error, path);
    } finally {
      clearInterval(timer);
    }
  }
}

/** Send a request; throw a Problem if the response is not successful. If the session ends, ask again after signing in. */
export async function send(path: string, options: RequestInit = {}): Promise<Response> {
  for (;;) {
    await session.ready(options.signal);
    try {
      return await sendOnce(path, options);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) throw error;
      session.end();
    }
  }
}

/** Send a request that does not wait for signing in, because it is what signs in. */
export async function sendOnce(path: string, options: RequestInit): Promise<Response> {
  let response: Response;
  const given = new AbortController();
  const limited = mayEnd(path, options);
  const stop = connection.watch(path, () => {
    // What changes something may have arrived: only its own answer says so.
    if (limited) given.abort(lost(path));
  });
  const signal = options.signal ? AbortSignal.any([options.signal, given.signal]) : given.signal;
  try {
    response = await fetch(path, { ...options, signal, headers: { ...languageHeader(), ...options.headers } });
  } catch (error) {
    throw reasonOf(error, path);
  } finally {
    stop();
  }
  if (OF_PROXIES.has(response.status)) void connection.isThere(path);
  else connection.found(path);
  const read = await whole(response, path, limited);
  if (read.ok) return read;
  throw await problemOf(read);
}

export const jsonOf = <T>(response: Response): Promise<T> => response.json() as Promise<T>;

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return jsonOf(await send(path, { signal: signal ?? null }));
}

export async function sendJson<T>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: signal ?? null,
  });
  return jsonOf(response);
}

/** Return the address of the next page, from the Link header. */
function nextPage(response: Response): string | null {
  const link = response.headers.get('Link') ?? '';
  return /<([^>]*)>[^,]*rel="?next"?/.exec(link)?.[1] ?? null;
}

export interface Page<Row> {
  rows: Row[];
  next: string | null;
}

export async function getPage<Row>(address: string, signal?: AbortSignal): Promise<Page<Row>> {
  const response = await send(address, { signal: signal ?? null });
  return { rows: await jsonOf(response), next: nextPage(response) };
}

/** Yield the answers of all pages, from that at the address. */
export async function* pages<T>(address: string | null): AsyncGenerator<T> {
  while (address) {
    const response = await send(address);
    yield await jsonOf<T>(response);
    address = nextPage(response);
  }
}

/** Run `work` on each item, a few at a time; return how many failed and the first error. */
export async function each<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<{ failed: T[]; error: unknown }> {
  const failed: T[] = [];
  let error: unknown = null;
  let index = 0;
  const worker = async (): Promise<void> => {
    while (index < items.length) {
      const item = items[index++] as T;
      try {
        await work(item);
      } catch (caught) {
        failed.push(item);
        error ??= caught;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return { failed, error };
}
