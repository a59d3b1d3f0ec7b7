/** What the browser can read of a chosen file now. */

const END_BYTES = 64 * 2 ** 10;

/** Return whether the file is still as it was chosen: browsers refuse to read one that was deleted or changed. */
export async function isReadable(file: File): Promise<boolean> {
  try {
    // Of a deleted file Chromium returns an empty part without an error, but not an empty whole.
    return file.size > 0 ? (await file.slice(0, 1).arrayBuffer()).byteLength > 0 : (await file.arrayBuffer()).byteLength === 0;
  } catch {
    return false;
  }
}

/** Return a hash of both ends of a file, to tell files of the same name apart. Over plain HTTP there is no `crypto.subtle`. */
export async function hashOfEnds(file: File): Promise<string> {
  const ends = new Blob([file.slice(0, END_BYTES), file.slice(Math.max(END_BYTES, file.size - END_BYTES))]);
  // The two halves of cyrb53.
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (const byte of new Uint8Array(await ends.arrayBuffer())) {
    high = Math.imul(high ^ byte, 2654435761);
    low = Math.imul(low ^ byte, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}
