/** Short notices at the lower edge. */

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'error';
}

const SECONDS = { plain: 4, error: 9 };

class Toasts {
  list = $state<Toast[]>([]);
  private last = 0;

  show(text: string, tone: Toast['tone'] = 'plain'): void {
    const id = ++this.last;
    this.list.push({ id, text, tone });
    setTimeout(() => this.hide(id), SECONDS[tone] * 1000);
  }

  hide(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
