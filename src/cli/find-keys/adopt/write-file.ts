/** Files are replaced whole or not at all, with the permissions and the owner that they had. */
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

export interface FileOwner {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Writes beside the file, then takes its place. `stamp` keeps two runs apart. Throws what the system says. */
export function replaceFile(path: string, bytes: Uint8Array, owner: FileOwner, stamp: string): void {
  const temporary = `${path}.${stamp}.tmp`;
  try {
    writeNew(temporary, bytes, 0o600);
    const now = lstatSync(temporary);
    if (now.uid !== owner.uid || now.gid !== owner.gid) chownSync(temporary, owner.uid, owner.gid);
    chmodSync(temporary, owner.mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** A file that was not there; its folder is made with 0700 if need be. Durable when it returns. */
export function writeNew(path: string, bytes: Uint8Array, mode: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const descriptor = openSync(path, 'wx', mode);
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(descriptor, bytes, written);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
