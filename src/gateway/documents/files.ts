/** The operator's document file on disk, and its watcher. */
import { watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { DocumentFiles } from './ports.ts';

export const documentFiles: DocumentFiles = { readText, watch: watchFile };

async function readText(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error(`${path} is no file`);
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    // A short read is not the end; only a read of nothing is.
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    if (length > maxBytes) throw new Error(`${path} has more than ${maxBytes} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  } finally {
    await file.close();
  }
}

/**
 * Watches the folder, not the file: editors and config maps replace a file by a rename, after which
 * a watch on the file itself would follow the old one. In a mounted config map the file is a link
 * whose target moves (`..data`), so every change in the folder counts.
 */
function watchFile(path: string, onChange: () => void): () => void {
  const name = basename(path);
  const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
    if (changed === null || changed === name || changed.startsWith('..')) onChange();
  });
  // The folder itself may go; the polling of the caller remains.
  watcher.on('error', () => watcher.close());
  return () => watcher.close();
}
