/** The page's data in the browser's storage, if the browser allows it. */

export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(`pixmill.${name}`, JSON.stringify(value));
  } catch {
    // Storage is forbidden or full; the page works without it.
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

export function drop(name: string): void {
  try {
    localStorage.removeItem(`pixmill.${name}`);
  } catch {
    // Storage is forbidden: there is nothing to remove.
  }
}

/** The settings of the browser, which are the same for all its users, and the uploads, which wait for their owner. */
const NOT_PERSONAL = ['language', 'theme', 'keys', 'session.', 'uploads.'].map((name) => `pixmill.${name}`);

/** What only this tab needs after a reload. */
const OF_TAB = 'pixmill.tab.';

export function keepInTab(name: string, value: unknown): void {
  try {
    sessionStorage.setItem(OF_TAB + name, JSON.stringify(value));
  } catch {
    // Storage is forbidden or full; the page works without it.
  }
}

export function keptInTab<T>(name: string): T | null {
  try {
    return JSON.parse(sessionStorage.getItem(OF_TAB + name) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function dropInTab(name: string): void {
  try {
    sessionStorage.removeItem(OF_TAB + name);
  } catch {
    // Storage is forbidden: there is nothing to remove.
  }
}

/** Remove what a user leaves behind, such as steps and chosen files. */
export function dropPersonal(): void {
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(OF_TAB)) sessionStorage.removeItem(key);
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith('pixmill.') && !NOT_PERSONAL.some((name) => key.startsWith(name))) localStorage.removeItem(key);
    }
  } catch {
    // Storage is forbidden: there is nothing to remove.
  }
}

/** Call `listener` each time another tab changes a value. */
export function onChange(name: string, listener: () => void): void {
  addEventListener('storage', ({ key }) => {
    if (key === `pixmill.${name}`) listener();
  });
}

/** Call `listener` each time another tab drops a value whose name begins with `prefix`. */
export function onDrop(prefix: string, listener: () => void): void {
  addEventListener('storage', ({ key, newValue }) => {
    if (newValue === null && key?.startsWith(`pixmill.${prefix}`)) listener();
  });
}
