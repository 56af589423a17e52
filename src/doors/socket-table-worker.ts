/**
 * Reads the socket tables in a thread of its own: thousands of connections make them megabytes that
 * the kernel writes in small pieces, and the request loop must not wait for that.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { findOwners } from './socket-table.ts';

/** What the thread is asked: rows by their text, and the remote ports among them. */
export interface TableQuestion {
  readonly keys: readonly string[];
  readonly ports: readonly string[];
}

export interface TableAnswer {
  /** By key; a key that is missing was not in the table. */
  readonly owners: ReadonlyMap<string, number>;
}

/** 64 MiB: about 400,000 sockets. What lies beyond is not looked at. */
const TABLE_MAX_BYTES = 64 * 1024 * 1024;

let buffer = Buffer.allocUnsafe(256 * 1024);

function readTable(path: string): Uint8Array {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    /* No IPv6 on this machine, or no procfs. */
    return new Uint8Array(0);
  }
  try {
    let length = 0;
    for (;;) {
      if (length === buffer.length) {
        if (length >= TABLE_MAX_BYTES) break;
        const larger = Buffer.allocUnsafe(buffer.length * 2);
        buffer.copy(larger, 0, 0, length);
        buffer = larger;
      }
      const count = readSync(file, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

function answer(question: TableQuestion): TableAnswer {
  const keys = new Set(question.keys);
  const wanted = { has: (key: string) => keys.has(key), ports: new Set(question.ports) };
  const owners = new Map<string, number>();
  findOwners(readTable(`${folder}/tcp`), 8, wanted, owners);
  findOwners(readTable(`${folder}/tcp6`), 32, wanted, owners);
  return { owners };
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `socket-owners.ts` starts this file with nothing else.
const { folder } = workerData as { readonly folder: string };
parentPort?.on('message', (question: TableQuestion) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
  parentPort?.postMessage(answer(question));
});
