/**
 * What a gateway remembers of the network that it joined: which, and under which name. Its keys are
 * the node's own file in the same folder. Mode 0600; replaced as a whole or not at all.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface JoinRecord {
  /** Origin of the control server. */
  readonly loginServer: string;
  readonly hostname: string;
  /** `tag:x` asked for. */
  readonly tags: readonly string[];
  /** The operator named the server in person; else it has to be in the operator's list at each start. */
  readonly isByOperator: boolean;
  /** False after `postern down`: a start does not join again. */
  readonly isWanted: boolean;
}

const RECORD_FILE = 'joined.json';

/** Null where none was kept. Rejects for a file that cannot be read or is not one of these. */
export async function readJoinRecord(folder: string): Promise<JoinRecord | null> {
  const path = join(folder, RECORD_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  const value = parseJson(text);
  if (!isRecord(value)) throw new Error(`${path} is damaged; remove it and run postern up again`);
  return value;
}

/** On the disk when it resolves. */
export async function writeJoinRecord(folder: string, record: JoinRecord): Promise<void> {
  const path = join(folder, RECORD_FILE);
  const fresh = `${path}.new`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await rm(fresh, { force: true });
  const file = await open(fresh, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}

export async function forgetJoinRecord(folder: string): Promise<void> {
  await rm(join(folder, RECORD_FILE), { force: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is JoinRecord {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'loginServer' in value &&
    typeof value.loginServer === 'string' &&
    URL.canParse(value.loginServer) &&
    'hostname' in value &&
    typeof value.hostname === 'string' &&
    'tags' in value &&
    Array.isArray(value.tags) &&
    value.tags.every((tag) => typeof tag === 'string') &&
    'isByOperator' in value &&
    typeof value.isByOperator === 'boolean' &&
    'isWanted' in value &&
    typeof value.isWanted === 'boolean'
  );
}
