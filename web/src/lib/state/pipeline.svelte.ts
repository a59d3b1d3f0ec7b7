/** The steps being edited. The screen's address contains them, so that a link is a pipeline. */

import type { Work } from '../api/tasks';
import type { Algorithm, Params, Step } from '../api/types';
import { i18n } from '../i18n/i18n.svelte';
import { router } from '../router.svelte';
import { problemOf, startOf } from '../schema/fields';
import { dropInTab, keep, keepInTab, kept, keptInTab } from '../storage';
import { session } from './session.svelte';
import { toasts } from './toasts.svelte';

export interface EditedStep extends Step {
  key: number;
}

const HASH = '#s=';
const UNWRITTEN = 'unwritten';
/** Safari refuses more than a hundred changes of the address in 30 seconds, Chromium more than 200 in ten. */
const WRITE_MS = 500;

/** Return a copy that is not a proxy. TypeScript cannot infer the type of a snapshot of JSON. */
const plain = (params: Params): Params => $state.snapshot<unknown>(params) as Params;

/** Whether the page was opened by a link; a tab that was reloaded or restored may show the steps of an earlier user. */
const isLinked = (): boolean => performance.getEntriesByType('navigation').some((entry) => 'type' in entry && entry.type === 'navigate');

/** Steps that are newer than those in the address. */
interface Unwritten {
  address: string;
  work: Work;
}

class Pipeline {
  steps = $state<EditedStep[]>([]);
  output = $state<Params>({});
  /** The key of the step whose form is open. */
  open = $state<number | 'output' | null>(null);
  private lastKey = 0;
  private writeTimer: ReturnType<typeof setTimeout> | undefined;
  private isWritten = true;
  /** The steps in the address of the link that opened the page. */
  private readonly linked = location.hash.startsWith(HASH) && isLinked() ? location.hash : '';

  constructor() {
    router.onLeave(() => this.write());
    session.onLeave(() => this.forget());
  }

  get work(): Work {
    return {
      steps: this.steps.map(({ algorithm, params }) => ({ algorithm, params: plain(params) })),
      output: plain(this.output),
    };
  }

  load({ steps, output }: Work): void {
    // A request may omit params if all of them have defaults.
    this.steps = structuredClone(steps).map(({ algorithm, params = {} }) => ({ algorithm, params, key: ++this.lastKey }));
    this.output = structuredClone(output);
    this.open = this.steps[0]?.key ?? null;
  }

  add(algorithm: Algorithm): void {
    const key = ++this.lastKey;
    this.steps.push({ key, algorithm: algorithm.name, params: startOf(algorithm.name, algorithm.params) });
    this.open = key;
  }

  duplicate(index: number): void {
    const step = this.steps[index];
    if (!step) return;
    const key = ++this.lastKey;
    this.steps.splice(index + 1, 0, { algorithm: step.algorithm, params: plain(step.params), key });
    this.open = key;
  }

  remove(index: number): void {
    this.steps.splice(index, 1);
  }

  move(index: number, by: 1 | -1): void {
    const [step] = this.steps.splice(index, 1);
    if (step) this.steps.splice(index + by, 0, step);
  }

  isReady(algorithms: ReadonlyMap<string, Algorithm>): boolean {
    return (
      this.steps.length > 0 &&
      this.steps.every(({ algorithm, params }) => problemOf(algorithms.get(algorithm)?.params ?? {}, params) === null)
    );
  }

  /** Load the steps in the address, or else those edited last. */
  read(): void {
    const unwritten = keptInTab<Unwritten>(UNWRITTEN);
    if (unwritten?.address === location.href) {
      this.load(unwritten.work);
      return;
    }
    if (location.hash.startsWith(HASH)) {
      const linked = decoded(location.hash.slice(HASH.length));
      if (linked) {
        this.load(linked);
        return;
      }
      // Load the steps edited last instead.
      toasts.show(i18n.t.brokenSteps, 'error');
    }
    if (this.steps.length === 0) this.load(workIn(kept<unknown>('draft', null)) ?? { steps: [], output: {} });
  }

  /** Store the steps for the next visit. */
  keep(): void {
    keep('draft', this.work);
  }

  /** Store the steps, and write them into the address. */
  save(): void {
    this.keep();
    this.isWritten = false;
    if (this.writeTimer === undefined) this.writeOften();
    // A browser that leaves or reloads the page before the next write keeps the address of now.
    else if (router.screen === 'process') keepInTab(UNWRITTEN, { address: location.href, work: this.work } satisfies Unwritten);
  }

  /** Write now, and again later if there are more changes. */
  private writeOften(): void {
    this.write();
    this.writeTimer = setTimeout(() => {
      this.writeTimer = undefined;
      if (!this.isWritten) this.writeOften();
    }, WRITE_MS);
  }

  private write(): void {
    if (this.isWritten) return;
    this.isWritten = true;
    // This screen may still be shown while the next one loads.
    if (router.screen !== 'process') return;
    const { work } = this;
    router.setHash(work.steps.length > 0 ? HASH + encoded(work) : '');
    dropInTab(UNWRITTEN);
  }

  /** Forget the steps of a user who has left, also those in the address, but not those of a link that nobody has used yet. */
  private forget(): void {
    this.load({ steps: [], output: {} });
    this.isWritten = false;
    this.write();
    if (router.screen === 'process' && session.owner === undefined) router.setHash(this.linked);
  }
}

function encoded(work: Work): string {
  const bytes = new TextEncoder().encode(JSON.stringify(work));
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/** Return the steps in a text from an address; null if it was truncated or written by hand and has another shape. */
function decoded(text: string): Work | null {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    return workIn(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}

const isGroup = (value: unknown): value is Params => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Return the steps and the output that a value contains, null if it has another shape. Params may be left out, as in a request. */
function workIn(value: unknown): Work | null {
  if (!isGroup(value)) return null;
  const { steps, output = {} } = value;
  if (!Array.isArray(steps) || !isGroup(output)) return null;
  const found = steps.map((step) => {
    if (!isGroup(step)) return null;
    const { algorithm, params = {} } = step;
    return typeof algorithm === 'string' && isGroup(params) ? { algorithm, params } : null;
  });
  return found.every((step) => step !== null) ? { steps: found, output } : null;
}

export const pipeline = new Pipeline();
