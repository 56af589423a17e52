/**
 * What an adoption changed, so that it can be undone: one file for each run in the state folder,
 * 0600, with hashes of the files before and after, never a key. The bytes before are in the backups.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../../../crypto/index.ts';
import { isObject, listAt, numberAt, textAt } from '../../fields.ts';
import { readTextFile } from '../read-text-file.ts';
import { writeNew } from './write-file.ts';

export interface JournalFile {
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** Null where the file was not there before. */
  readonly backup: string | null;
  /** Hex SHA-256; null where the file was not there. */
  readonly before: string | null;
  readonly after: string;
  /** Permission bits before. */
  readonly mode: number;
}

export interface Journal {
  /** Sorts by time. */
  readonly id: string;
  /** RFC 3339. */
  readonly at: string;
  /** Ids of the keys that were put into the vault, for the report. */
  readonly keys: readonly string[];
  readonly files: readonly JournalFile[];
}

/** Under the state folder. */
const FOLDER = 'find-keys';

export function journalPath(stateDir: string, id: string): string {
  return join(stateDir, FOLDER, `${id}.json`);
}

/** Throws what the system says. */
export function writeJournal(stateDir: string, journal: Journal): void {
  writeNew(journalPath(stateDir, journal.id), Buffer.from(`${JSON.stringify(journal, null, 2)}\n`), 0o600);
}

export function removeJournal(stateDir: string, id: string): void {
  rmSync(journalPath(stateDir, id), { force: true });
}

/** The newest adoption that was not undone, or null. A journal that others could have written counts as none. */
export function latestJournal(stateDir: string): Journal | null {
  for (const name of listJournals(stateDir).toReversed()) {
    const file = readTextFile(join(stateDir, FOLDER, name));
    if (file === null || 'skip' in file || (file.mode & 0o022) !== 0) continue;
    const journal = parseJournal(file.text);
    if (journal !== null) return journal;
  }
  return null;
}

function listJournals(stateDir: string): readonly string[] {
  try {
    return readdirSync(join(stateDir, FOLDER))
      .filter((name) => name.endsWith('.json'))
      .sort();
  } catch {
    return [];
  }
}

function parseJournal(text: string): Journal | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const id = textAt(value, 'id');
  const at = textAt(value, 'at');
  if (id === null || at === null) return null;
  const files = listAt(value, 'files').map(parseFile);
  if (files.includes(null)) return null;
  return {
    id,
    at,
    keys: listAt(value, 'keys').filter((key) => typeof key === 'string'),
    files: files.filter((file) => file !== null),
  };
}

function parseFile(value: unknown): JournalFile | null {
  const path = textAt(value, 'path');
  const after = textAt(value, 'after');
  const mode = numberAt(value, 'mode');
  if (!isObject(value) || path === null || after === null || mode === null) return null;
  return { path, after, mode, backup: textAt(value, 'backup'), before: textAt(value, 'before') };
}

/** How files are compared. */
export function hashOf(bytes: Uint8Array): string {
  return sha256Hex(bytes);
}
