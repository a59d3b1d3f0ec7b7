/** Short messages at the lower edge of the window. */

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'error';
  action: ToastAction | null;
}

export interface ToastAction {
  name: string;
  run: () => void;
}

const SECONDS = { plain: 4, error: 9 };
const SECONDS_TO_ACT = 12;

class Toasts {
  list = $state<Toast[]>([]);
  private last = 0;

  show(text: string, tone: Toast['tone'] = 'plain', action: ToastAction | null = null): void {
    const id = ++this.last;
    this.list.push({ id, text, tone, action });
    setTimeout(() => this.hide(id), (action ? SECONDS_TO_ACT : SECONDS[tone]) * 1000);
  }

  hide(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
