/** Return a text that no other call returns. `randomUUID` is not available over plain HTTP. */
export const randomText = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
