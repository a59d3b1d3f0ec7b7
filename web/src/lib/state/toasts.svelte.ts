/** Short messages at the lower edge of the window. */

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'error';
  action: ToastAction | null;
  seconds: number;
}

export interface ToastAction {
  name: string;
  run: () => void;
}

const SECONDS = { plain: 4, error: 9 };
const SECONDS_TO_ACT = 12;

class Toasts {
  list = $state<Toast[]>([]);
  /** What can show the list: the page, and each open dialog, because nothing outside of the last one can be used. */
  private places = $state.raw<readonly symbol[]>([]);
  private last = 0;

  show(text: string, tone: Toast['tone'] = 'plain', action: ToastAction | null = null): void {
    const id = ++this.last;
    this.list.push({ id, text, tone, action, seconds: action ? SECONDS_TO_ACT : SECONDS[tone] });
  }

  hide(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }

  /** Add a place that shows the list instead of the earlier ones; return a function that removes it. */
  enter(place: symbol): () => void {
    this.places = [...this.places, place];
    return () => {
      this.places = this.places.filter((other) => other !== place);
    };
  }

  isShownIn(place: symbol): boolean {
    return this.places.at(-1) === place;
  }
}

export const toasts = new Toasts();
