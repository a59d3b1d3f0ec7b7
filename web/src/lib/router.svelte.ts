/** The address of the page: selects the screen and can be changed. */

export type Screen =
  | 'files' | 'file' | 'process' | 'pipelines' | 'runs' | 'run' | 'tasks' | 'links' | 'system' | 'trash' | 'shared';

const ROUTES: readonly (readonly [RegExp, Screen])[] = [
  [/^\/(files)?$/, 'files'],
  [/^\/files\/(\d+)$/, 'file'],
  [/^\/process$/, 'process'],
  [/^\/pipelines$/, 'pipelines'],
  [/^\/runs$/, 'runs'],
  [/^\/runs\/(\d+)$/, 'run'],
  [/^\/tasks$/, 'tasks'],
  [/^\/shared$/, 'links'],
  [/^\/system$/, 'system'],
  [/^\/trash$/, 'trash'],
  [/^\/s\/[\w-]+$/, 'shared'],
];

/** What the browser's history keeps of an entry. */
interface Entry {
  /** The number of the page's own entries before it. */
  depth: number;
}

/** Return the depth of the current entry; 0 if the page did not add it, for example after a typed address. */
const depth = (): number => (history.state as Entry | null)?.depth ?? 0;

class Router {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));
  private readonly waiting = new Set<() => void>();

  constructor() {
    addEventListener('popstate', () => this.read());
  }

  get screen(): Screen {
    return ROUTES.find(([pattern]) => pattern.test(this.path))?.[1] ?? 'files';
  }

  /** The number in the path, such as 12 in /files/12. */
  get id(): number {
    return Number(/(\d+)$/.exec(this.path)?.[1] ?? 0);
  }

  /** Whether the entry before this one in the browser's history is a screen too. */
  get hasBefore(): boolean {
    return depth() > 0;
  }

  go(address: string, replace = false): void {
    for (const listener of this.waiting) listener();
    if (replace) history.replaceState(history.state, '', address);
    else history.pushState({ depth: depth() + 1 } satisfies Entry, '', address);
    this.read();
  }

  /** Call `listener` each time before the page goes to another address. */
  onLeave(listener: () => void): void {
    this.waiting.add(listener);
  }

  /** Change the part after `#`, which selects no screen. */
  setHash(hash: string): void {
    history.replaceState(history.state, '', location.pathname + location.search + hash);
  }

  /** Change parameters of the query; an empty value removes the parameter. */
  setQuery(change: Record<string, string>, replace = false): void {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(change)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    const text = query.toString();
    this.go(`${location.pathname}${text ? `?${text}` : ''}`, replace);
  }

  /** Follow links to screens without loading a document. */
  onClick = (event: MouseEvent): void => {
    const link = (event.target as Element).closest('a');
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute('download')) return;
    const [, place] = /^#(.+)/.exec(link.getAttribute('href') ?? '') ?? [];
    if (place !== undefined) {
      // The address stays: the part after # may be the steps of a pipeline.
      event.preventDefault();
      document.getElementById(place)?.focus();
      return;
    }
    const address = new URL(link.href);
    if (address.origin !== location.origin || !ROUTES.some(([pattern]) => pattern.test(address.pathname))) return;
    event.preventDefault();
    this.go(address.pathname + address.search + address.hash);
  };

  private read(): void {
    this.path = location.pathname;
    if (location.search.replace(/^\?/, '') !== this.query.toString()) this.query = new URLSearchParams(location.search);
  }
}

export const router = new Router();
