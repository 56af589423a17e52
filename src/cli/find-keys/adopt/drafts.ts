/** The files of an adoption while it is planned: what they are now, and what they will be. */
import { constants, accessSync } from 'node:fs';
import { dirname } from 'node:path';
import { readTextFile, type TextFile } from '../read-text-file.ts';
import { BACKUP_MARK } from './backup-name.ts';
import { hashOf, type JournalFile } from './journal.ts';
import { replaceFile, writeNew } from './write-file.ts';

export interface Draft {
  readonly path: string;
  /** Null where the file does not exist. */
  readonly original: TextFile | null;
  text: string;
}

/** Files that an adoption makes hold no key, but belong to the user alone. */
const NEW_FILE_MODE = 0o600;

export class Drafts {
  readonly #drafts = new Map<string, Draft>();

  /** The draft of a file, or why it may not be changed. */
  open(path: string): Draft | { readonly refused: string } {
    const known = this.#drafts.get(path);
    if (known !== undefined) return known;
    const file = readTextFile(path);
    if (file !== null && 'skip' in file) return { refused: `it is ${file.skip}` };
    const refused = file === null ? null : refusalOf(path, file);
    if (refused !== null) return { refused };
    const draft = { path, original: file, text: file?.text ?? '' };
    this.#drafts.set(path, draft);
    return draft;
  }

  /** Those whose text has changed. */
  changed(): readonly Draft[] {
    return [...this.#drafts.values()].filter(({ original, text }) => text !== (original?.text ?? ''));
  }
}

function refusalOf(path: string, file: TextFile): string | null {
  if (!file.isUtf8) return 'it is not UTF-8';
  if (file.links > 1) return 'it has a second name (hard link), which would keep the key';
  const uid = process.getuid?.();
  if (uid !== undefined && uid !== 0 && file.uid !== uid) return 'it belongs to somebody else';
  try {
    accessSync(path, constants.W_OK);
    accessSync(dirname(path), constants.W_OK);
    return null;
  } catch {
    return 'it may not be written';
  }
}

/** The entry of the journal for a draft. */
export function journalFile(draft: Draft, id: string): JournalFile {
  const { path, original, text } = draft;
  return {
    path,
    backup: original === null ? null : `${path}${BACKUP_MARK}${id}`,
    before: original === null ? null : hashOf(original.bytes),
    after: hashOf(Buffer.from(text)),
    mode: original?.mode ?? NEW_FILE_MODE,
  };
}

/** The bytes as they are now, beside the file, for its owner only. */
export function writeBackup(draft: Draft, file: JournalFile): void {
  if (draft.original !== null && file.backup !== null) writeNew(file.backup, draft.original.bytes, 0o600);
}

/** False if the file is not what was planned with. */
export function writeDraft(draft: Draft, id: string): boolean {
  const { path, original, text } = draft;
  const bytes = Buffer.from(text);
  if (original === null) {
    writeNew(path, bytes, NEW_FILE_MODE);
    return true;
  }
  const now = readTextFile(path);
  if (now === null || 'skip' in now || !now.bytes.equals(original.bytes)) return false;
  replaceFile(path, bytes, original, id);
  return true;
}
