/** The state folder and what lies in it: master key, store, vault, and the first grant. */
import { mkdir, chmod, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { decodeMasterKey, ensureMasterKey, settingsFiles, type OperatorSettings } from '../config/index.ts';
import { createKeyring, KEY_LABELS, type Keyring } from '../crypto/index.ts';
import { openSqliteStore, type Store } from '../store/index.ts';
import { openVault, type Vault } from '../vault/index.ts';

export interface State {
  readonly keyring: Keyring;
  readonly store: Store;
  readonly vault: Vault;
  /** Rows that the store did not take wait here. */
  readonly spillFile: string;
}

export interface OpenStateOptions {
  readonly settings: OperatorSettings;
  readonly tailnet: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export async function openState(options: OpenStateOptions): Promise<State> {
  const { settings, tailnet, clock, random, logger } = options;
  await ensureStateFolder(settings.stateDir);
  const master = ensureMasterKey({ settings, files: settingsFiles, random });
  const keyring = createKeyring(decodeMasterKey(master));
  const store = await openSqliteStore({
    file: join(settings.stateDir, 'postern.db'),
    logger,
    clock,
    auditKey: keyring.key(KEY_LABELS.audit),
    bodyKey: keyring.key(KEY_LABELS.bodySeal),
    bodyHashKey: keyring.key(KEY_LABELS.bodyHash),
  });
  const vault = await openVault({
    store,
    key: keyring.key(KEY_LABELS.vault),
    tailnet,
    clock,
    random,
    logger,
  });
  return { keyring, store, vault, spillFile: join(settings.stateDir, 'unwritten-rows.jsonl') };
}

/** Makes the folder (0700), or checks that it belongs to this user alone. */
async function ensureStateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const facts = await lstat(path);
  const uid = process.getuid?.();
  if (uid !== undefined && facts.uid !== uid) {
    throw new AppError(
      'state_folder_foreign',
      `the state folder ${path} belongs to uid ${facts.uid}, not to ${uid}; use another --state-dir`,
    );
  }
  if ((facts.mode & 0o077) !== 0) await chmod(path, 0o700);
}

/** Set once the starter's grant was made, so that an admin who removes it is not overruled at the next start. */
const STARTER_GRANT_SETTING = 'starter_grant_made';

/**
 * The OS user who starts Postern without a document may use every model from this machine. It is a
 * stored, visible grant that stays until it is removed (INTERFACES, identity).
 */
export async function ensureStarterGrant(
  store: Store,
  settings: OperatorSettings,
  { clock, owner }: { readonly clock: Clock; readonly owner: string | null },
): Promise<void> {
  const uid = process.getuid?.();
  if (settings.config !== null || uid === undefined) return;
  if ((await store.getSetting(STARTER_GRANT_SETTING)) !== null) return;
  const local = `local:${uid}`;
  for (const principal of owner === null ? [local] : [local, owner])
    await store.putGrant({
      principal,
      role: 'user',
      models: ['**'],
      createdAt: clock.now(),
      createdBy: 'operator',
      expiresAt: null,
      approvalId: null,
    });
  await store.putSetting(STARTER_GRANT_SETTING, local);
}

/** The principals that `--admin` names administer from the start. */
export async function ensureAdmins(store: Store, settings: OperatorSettings, clock: Clock): Promise<void> {
  const known = new Set(
    (await store.listGrants()).filter((grant) => grant.role === 'admin').map((grant) => grant.principal),
  );
  for (const principal of settings.admins) {
    if (known.has(principal)) continue;
    await store.putGrant({
      principal,
      role: 'admin',
      models: [],
      createdAt: clock.now(),
      createdBy: 'operator',
      expiresAt: null,
      approvalId: null,
    });
  }
}

/** `postern admin reset`: forgets every stored admin and passkey, so that a new claim link is offered. */
export async function forgetAdmins(store: Store, tailnet: string): Promise<void> {
  for (const grant of await store.listGrants()) {
    if (grant.role === 'admin') await store.deleteGrant(grant.principal, 'admin', null);
  }
  for (const passkey of await store.listPasskeys(tailnet))
    await store.deletePasskey(tailnet, passkey.credentialId);
}
