/** The key that wraps all others: 32 bytes, given by the operator or made once in the state folder. */
import { assert } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { Secret } from '../base/secret.ts';
import { SettingsError } from './errors.ts';
import type { OperatorSettings } from './operator-settings.ts';

/** Name in the state folder, mode 0600. */
export const MASTER_KEY_FILE = 'master.key';
const MASTER_KEY_BYTES = 32;

/** The files that a master key is kept in. */
export interface MasterKeyFiles {
  /** A file's text; null where there is none; throws where it cannot be read. */
  readFile(path: string): string | null;
  /** Makes a file that was not there, and its folder (0700), durably. False if it was there. */
  createFile(path: string, text: string, mode: number): boolean;
}

/** 32 bytes from base64, base64url or 64 hex digits; null if the text is neither. */
export function parseMasterKey(text: string): Uint8Array | null {
  const trimmed = text.trim();
  if (/^[0-9A-Fa-f]{64}$/.test(trimmed)) return Uint8Array.from(Buffer.from(trimmed, 'hex'));
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return null;
  const bytes = Uint8Array.from(Buffer.from(trimmed, 'base64'));
  return bytes.length === MASTER_KEY_BYTES ? bytes : null;
}

/** The 32 bytes of a key that `ensureMasterKey` or the settings gave. */
export function decodeMasterKey(key: Secret): Uint8Array {
  const bytes = parseMasterKey(key.reveal());
  assert(bytes !== null, 'a master key was checked when it was read');
  return bytes;
}

export interface EnsureMasterKeyInput {
  readonly settings: Pick<OperatorSettings, 'masterKey' | 'stateDir'>;
  readonly files: MasterKeyFiles;
  readonly random: Random;
}

/**
 * The operator's key, else the one in the state folder, else a new one there. Throws `SettingsError`
 * if the file holds something else: making a new key would lose everything under the old one.
 */
export function ensureMasterKey({ settings, files, random }: EnsureMasterKeyInput): Secret {
  if (settings.masterKey !== null) return settings.masterKey;
  const path = `${settings.stateDir}/${MASTER_KEY_FILE}`;
  const kept = files.readFile(path);
  if (kept !== null) return checked(kept, path);
  const fresh = new Secret(Buffer.from(random.bytes(MASTER_KEY_BYTES)).toString('base64'));
  if (files.createFile(path, `${fresh.reveal()}\n`, 0o600)) return fresh;
  // Another process made it in between; its key is the one.
  return checked(files.readFile(path) ?? '', path);
}

function checked(text: string, path: string): Secret {
  if (parseMasterKey(text) === null) {
    throw new SettingsError(
      'settings_bad_key_file',
      `${path} does not hold a master key (32 bytes in base64 or hex); restore it from a copy, for what it protects cannot be read without it`,
    );
  }
  return new Secret(text.trim());
}
