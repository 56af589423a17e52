/** The one file that a node keeps: mode 0600, in a folder of mode 0700, replaced as a whole or not at all. */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from '../../base/errors.ts';
import { nodeError } from './errors.ts';

const STATE_FILE = 'node.json';

export interface StateFile {
  /** Its text; null where there is none. Rejects with `node_state`. */
  read(): Promise<string | null>;
  /** On the disk when it resolves. Rejects with `node_state`, and then the file is as before. */
  write(text: string): Promise<void>;
}

export function createStateFile(folder: string): StateFile {
  const path = join(folder, STATE_FILE);
  const fresh = `${path}.new`;
  return {
    async read() {
      try {
        return await readFile(path, 'utf8');
      } catch (cause) {
        if (codeOf(cause) === 'ENOENT') return null;
        throw nodeError('node_state', `cannot read the node's state in ${path}: ${codeOf(cause)}`, { cause });
      }
    },
    async write(text) {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await rm(fresh, { force: true });
        const file = await open(fresh, 'wx', 0o600);
        try {
          await file.writeFile(text);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(fresh, path);
      } catch (cause) {
        const code = codeOf(cause);
        const why = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full; free some space' : code;
        throw nodeError('node_state', `cannot write the node's state to ${path}: ${why}`, {
          cause,
          detail: describeError(cause),
        });
      }
    },
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown fault';
}
