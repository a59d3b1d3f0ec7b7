/** What the browser keeps for the page. A browser that forbids this keeps nothing. */

export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(`pixmill.${name}`, JSON.stringify(value));
  } catch {
    // Forbidden or full: the page works without it.
  }
}

export function kept<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(`pixmill.${name}`);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}
