/**
 * A file's text, if it is one: a regular file of bounded size, not reached by a symbolic link. UTF-16
 * with its mark is read as that, UTF-8 as that, and any other text byte by byte, for keys are ASCII
 * in every encoding that is left.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { SkipReason } from './shapes.ts';

/** Larger ones are data, not settings or source. */
export const FILE_MAX_BYTES = 16 * 1024 * 1024;
/** A zero byte within these makes it binary: the rule of git and grep. */
const BINARY_PROBE_BYTES = 8_000;

export interface TextFile {
  readonly text: string;
  readonly bytes: Buffer;
  /** Permission bits. */
  readonly mode: number;
  /** Whether `text` is the bytes' UTF-8 and nothing was replaced, so that an edit of it can be written back. */
  readonly isUtf8: boolean;
  /** Names of the file in the file system. */
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
}

/** The text, the reason why it is not read, or null where there is no such file. Never throws. */
export function readTextFile(path: string): TextFile | { readonly skip: SkipReason } | null {
  let descriptor: number;
  try {
    // Not following a link, and not waiting for the writer of a pipe.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return openFault(error);
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return { skip: 'not a regular file' };
    if (stat.size > FILE_MAX_BYTES) return { skip: 'too large' };
    const bytes = readAll(descriptor, stat.size);
    const decoded = decodeText(bytes);
    if (decoded === null) return { skip: 'binary' };
    return { ...decoded, bytes, mode: stat.mode & 0o7777, links: stat.nlink, uid: stat.uid, gid: stat.gid };
  } catch {
    return { skip: 'not readable' };
  } finally {
    closeSync(descriptor);
  }
}

function openFault(error: unknown): { readonly skip: SkipReason } | null {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'ENOENT' || code === 'ENOTDIR') return null;
  return { skip: code === 'ELOOP' ? 'symbolic link' : 'not readable' };
}

function readAll(descriptor: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const count = readSync(descriptor, bytes, length, size - length, null);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

/** Null for what is no text. */
export function decodeText(bytes: Buffer): { readonly text: string; readonly isUtf8: boolean } | null {
  const first = bytes[0];
  const second = bytes[1];
  if (first === 0xff && second === 0xfe) return { text: bytes.toString('utf16le', 2), isUtf8: false };
  if (first === 0xfe && second === 0xff) {
    const even = bytes.length - (bytes.length % 2);
    return { text: Buffer.from(bytes.subarray(2, even)).swap16().toString('utf16le'), isUtf8: false };
  }
  if (bytes.subarray(0, BINARY_PROBE_BYTES).includes(0)) return null;
  try {
    // The mark stays in the text: an edit must not lose it.
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), isUtf8: true };
  } catch {
    return { text: bytes.toString('latin1'), isUtf8: false };
  }
}
