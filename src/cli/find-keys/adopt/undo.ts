/** `--undo`: the files of the last adoption become what they were, byte for byte, or nothing changes. */
import { existsSync, rmSync } from 'node:fs';
import { CliFailure, EXIT } from '../../failure.ts';
import { readTextFile } from '../read-text-file.ts';
import { redactText } from '../redact.ts';
import { hashOf, type Journal, type JournalFile, latestJournal, removeJournal } from './journal.ts';
import { replaceFile } from './write-file.ts';

/**
 * Restores the newest adoption and returns it; null if there is none. Fails with
 * `cli_find_keys_changed`, before anything is touched, if a file or its backup is not what the
 * adoption left.
 */
export function undoAdoption(stateDir: string): Journal | null {
  const journal = latestJournal(stateDir);
  if (journal === null) return null;
  const checked = journal.files.map((file) => ({ file, state: stateOf(file) }));
  const changed = checked.filter(({ state }) => state.type === 'changed');
  if (changed.length > 0) {
    throw new CliFailure('nothing was undone, because files have changed since the adoption', {
      exit: EXIT.failed,
      code: 'cli_find_keys_changed',
      fix: changed
        .map(({ file, state }) => `${redactText(file.path)}: ${state.type === 'changed' ? state.why : ''}`)
        .join('\n'),
    });
  }
  for (const { file, state } of checked) restore(file, state, journal.id);
  removeJournal(stateDir, journal.id);
  return journal;
}

type FileState =
  | { readonly type: 'changed'; readonly why: string }
  /** As before: it was never written, or was restored already. */
  | { readonly type: 'as-before' }
  /** As the adoption left it; null where it has made the file. */
  | {
      readonly type: 'adopted';
      readonly bytes: Uint8Array | null;
      readonly uid: number;
      readonly gid: number;
    };

function stateOf(file: JournalFile): FileState {
  const now = readTextFile(file.path);
  if (now === null)
    return file.before === null ? { type: 'as-before' } : { type: 'changed', why: 'it is gone' };
  if ('skip' in now) return { type: 'changed', why: `it is ${now.skip}` };
  const hash = hashOf(now.bytes);
  if (hash === file.before) return { type: 'as-before' };
  if (hash !== file.after) return { type: 'changed', why: 'it was edited' };
  const { uid, gid } = now;
  if (file.backup === null) return { type: 'adopted', bytes: null, uid, gid };
  const backup = readTextFile(file.backup);
  if (backup === null || 'skip' in backup) return { type: 'changed', why: 'its backup is gone' };
  if (hashOf(backup.bytes) !== file.before) return { type: 'changed', why: 'its backup was edited' };
  return { type: 'adopted', bytes: backup.bytes, uid, gid };
}

function restore(file: JournalFile, state: FileState, stamp: string): void {
  if (state.type === 'adopted') {
    if (state.bytes === null) rmSync(file.path);
    else replaceFile(file.path, state.bytes, { mode: file.mode, uid: state.uid, gid: state.gid }, stamp);
  }
  if (file.backup !== null && existsSync(file.backup)) rmSync(file.backup);
}
