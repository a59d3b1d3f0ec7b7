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

class Router {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));

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

  go(address: string, replace = false): void {
    if (replace) history.replaceState(null, '', address);
    else history.pushState(null, '', address);
    this.read();
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
