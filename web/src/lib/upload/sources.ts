/** Files that the user drops, pastes or chooses. */

const AT_ONCE = 500;

/** A file and its folder, such as `holiday/2026`. */
export interface Picked {
  file: File;
  folder: string;
}

/** Return the files of an input field, with their folders if a folder was chosen. */
export const chosenFiles = (files: FileList | null): Picked[] =>
  [...(files ?? [])].map((file) => ({ file, folder: folderOf(file.webkitRelativePath) }));

/** On Linux a backslash may be part of a name; elsewhere it would separate folders. */
const folderOf = (path: string): string => path.split('/').filter(Boolean).slice(0, -1).join('/').replaceAll('\\', '_');

/**
 * Pass the dropped files to `add`, including those in folders, in portions: a folder may contain very many. Stop at the signal.
 * Return the number of files and folders that could not be read.
 */
export async function dropped(transfer: DataTransfer, signal: AbortSignal, add: (files: Picked[]) => void): Promise<number> {
  // The items are only readable until the event ends.
  const items = [...transfer.items].filter(({ kind }) => kind === 'file').map((item) => item.webkitGetAsEntry());
  const entries = items.filter((entry) => entry !== null);
  let found: Picked[] = [];
  // A file that is already gone has no entry.
  let unreadable = items.length - entries.length;
  for (const entry of entries) {
    for await (const file of filesOf(entry, () => (unreadable += 1))) {
      if (signal.aborted) return unreadable;
      found.push(file);
      if (found.length === AT_ONCE) {
        add(found);
        found = [];
      }
    }
  }
  if (!signal.aborted) add(found);
  return unreadable;
}

async function* filesOf(entry: FileSystemEntry, onUnreadable: () => void): AsyncGenerator<Picked> {
  if (isFile(entry)) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) yield { file, folder: folderOf(entry.fullPath) };
    else onUnreadable();
  } else if (isFolder(entry)) {
    const reader = entry.createReader();
    // A reader returns about a hundred entries at a time, and an empty list at the end.
    for (;;) {
      const children = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)).catch(
        () => null,
      );
      if (!children) onUnreadable();
      if (!children || children.length === 0) return;
      for (const child of children) yield* filesOf(child, onUnreadable);
    }
  }
}

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile;
const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

/** Return the pasted files. Browsers name every pasted picture `image.png`. */
export function pasted(transfer: DataTransfer | null, name: string): Picked[] {
  return [...(transfer?.files ?? [])].map((file) => ({
    file: file.name === 'image.png' ? new File([file], `${name}.png`, { type: file.type }) : file,
    folder: '',
  }));
}
