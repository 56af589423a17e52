/** The small tables: grants, tokens, provider keys, documents, passkeys, owned objects, settings. */
import { storeError } from '../errors.ts';
import type {
  DocumentVersion,
  OwnedObject,
  OwnedObjectName,
  PasskeyRow,
  ProviderKeyRow,
  StoredGrant,
  TokenRow,
} from '../shapes.ts';
import { createCodec, intOf, textOf } from './columns.ts';
import { pageLimit } from './cursor.ts';
import type { Database } from './database.ts';

const GRANTS = createCodec<StoredGrant>({
  principal: ['principal', 'text'],
  role: ['role', 'text'],
  models: ['models', 'json'],
  createdAt: ['created_at', 'int'],
  createdBy: ['created_by', 'text'],
  expiresAt: ['expires_at', 'int'],
  approvalId: ['approval_id', 'text'],
});

const TOKENS = createCodec<TokenRow>({
  id: ['id', 'text'],
  tailnet: ['tailnet', 'text'],
  owner: ['owner', 'text'],
  ownerLabel: ['owner_label', 'text'],
  name: ['name', 'text'],
  hash: ['hash', 'text'],
  scopes: ['scopes', 'json'],
  models: ['models', 'json'],
  createdAt: ['created_at', 'int'],
  createdBy: ['created_by', 'text'],
  expiresAt: ['expires_at', 'int'],
  revokedAt: ['revoked_at', 'int'],
  lastUsedAt: ['last_used_at', 'int'],
});

const PROVIDER_KEYS = createCodec<ProviderKeyRow>({
  tailnet: ['tailnet', 'text'],
  id: ['id', 'text'],
  provider: ['provider', 'text'],
  name: ['name', 'text'],
  state: ['state', 'text'],
  origin: ['origin', 'text'],
  header: ['header', 'text'],
  sealed: ['sealed', 'bytes'],
  hint: ['hint', 'text'],
  createdAt: ['created_at', 'int'],
  createdBy: ['created_by', 'text'],
  stateChangedAt: ['state_changed_at', 'int'],
});

const DOCUMENTS = createCodec<DocumentVersion>({
  tailnet: ['tailnet', 'text'],
  version: ['version', 'int'],
  text: ['text', 'text'],
  createdAt: ['created_at', 'int'],
  createdBy: ['created_by', 'text'],
  comment: ['comment', 'text'],
});

const DOCUMENT_HEADS = createCodec<Omit<DocumentVersion, 'text'>>({
  tailnet: ['tailnet', 'text'],
  version: ['version', 'int'],
  createdAt: ['created_at', 'int'],
  createdBy: ['created_by', 'text'],
  comment: ['comment', 'text'],
});

const PASSKEYS = createCodec<PasskeyRow>({
  tailnet: ['tailnet', 'text'],
  credentialId: ['credential_id', 'text'],
  principal: ['principal', 'text'],
  name: ['name', 'text'],
  publicKey: ['public_key', 'bytes'],
  counter: ['counter', 'int'],
  transports: ['transports', 'json'],
  createdAt: ['created_at', 'int'],
  lastUsedAt: ['last_used_at', 'int'],
});

const OWNED_OBJECTS = createCodec<OwnedObject>({
  tailnet: ['tailnet', 'text'],
  provider: ['provider', 'text'],
  kind: ['kind', 'text'],
  objectId: ['object_id', 'text'],
  principal: ['principal', 'text'],
  keyId: ['key_id', 'text'],
  model: ['model', 'text'],
  createdAt: ['created_at', 'int'],
  models: ['models', 'json'],
  parentId: ['parent_id', 'text'],
  settledAt: ['settled_at', 'int'],
});

export function listGrants(database: Database): StoredGrant[] {
  return database
    .prepare(`SELECT ${GRANTS.columnList} FROM grants ORDER BY created_at, principal, role, approval_id`)
    .all()
    .map(GRANTS.fromRow);
}

export function putGrant(database: Database, grant: StoredGrant): void {
  const sql = `INSERT INTO grants (${GRANTS.columnList}) VALUES (${GRANTS.placeholders})
    ON CONFLICT (principal, role, coalesce(approval_id, '')) DO UPDATE SET models = excluded.models,
      created_at = excluded.created_at, created_by = excluded.created_by, expires_at = excluded.expires_at`;
  database.durableTransaction(() => database.prepare(sql).run(...GRANTS.toValues(grant)));
}

export function deleteGrant(
  database: Database,
  principal: string,
  role: string,
  approvalId: string | null,
): boolean {
  const statement = database.prepare(
    'DELETE FROM grants WHERE principal = ? AND role = ? AND approval_id IS ?',
  );
  return database.durableTransaction(() => statement.run(principal, role, approvalId)).changes > 0;
}

export function listTokens(database: Database, tailnet: string): TokenRow[] {
  return database
    .prepare(`SELECT ${TOKENS.columnList} FROM tokens WHERE tailnet = ? ORDER BY id`)
    .all(tailnet)
    .map(TOKENS.fromRow);
}

/** Adds a token, or changes its name, rights and end; its owner and hash never change. */
export function putToken(database: Database, token: TokenRow): void {
  const sql = `INSERT INTO tokens (${TOKENS.columnList}) VALUES (${TOKENS.placeholders})
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, scopes = excluded.scopes, models = excluded.models,
      expires_at = excluded.expires_at, revoked_at = coalesce(revoked_at, excluded.revoked_at),
      last_used_at = excluded.last_used_at
    WHERE tailnet = excluded.tailnet AND owner = excluded.owner AND hash = excluded.hash`;
  const { changes } = database.durableTransaction(() => database.prepare(sql).run(...TOKENS.toValues(token)));
  if (changes === 0)
    throw storeError('store_conflict', `token ${token.id} exists with another owner or value`);
}

/** True if the token was there and not revoked. */
export function revokeToken(database: Database, tailnet: string, id: string, at: number): boolean {
  const statement = database.prepare(
    'UPDATE tokens SET revoked_at = ? WHERE id = ? AND tailnet = ? AND revoked_at IS NULL',
  );
  return database.durableTransaction(() => statement.run(at, id, tailnet)).changes > 0;
}

export function touchTokens(database: Database, used: readonly { id: string; at: number }[]): void {
  const statement = database.prepare(
    'UPDATE tokens SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?',
  );
  database.transaction(() => {
    for (const { id, at } of used) statement.run(at, id);
  });
}

export function listProviderKeys(database: Database, tailnet: string): ProviderKeyRow[] {
  return database
    .prepare(
      `SELECT ${PROVIDER_KEYS.columnList} FROM provider_keys WHERE tailnet = ? ORDER BY created_at, id`,
    )
    .all(tailnet)
    .map(PROVIDER_KEYS.fromRow);
}

export function putProviderKey(database: Database, key: ProviderKeyRow): void {
  const sql = `INSERT OR REPLACE INTO provider_keys (${PROVIDER_KEYS.columnList}) VALUES (${PROVIDER_KEYS.placeholders})`;
  database.durableTransaction(() => database.prepare(sql).run(...PROVIDER_KEYS.toValues(key)));
}

export function latestDocument(database: Database, tailnet: string): DocumentVersion | null {
  const row = database
    .prepare(`SELECT ${DOCUMENTS.columnList} FROM documents WHERE tailnet = ? ORDER BY version DESC LIMIT 1`)
    .get(tailnet);
  return row === undefined ? null : DOCUMENTS.fromRow(row);
}

export function getDocument(database: Database, tailnet: string, version: number): DocumentVersion | null {
  const row = database
    .prepare(`SELECT ${DOCUMENTS.columnList} FROM documents WHERE tailnet = ? AND version = ?`)
    .get(tailnet, version);
  return row === undefined ? null : DOCUMENTS.fromRow(row);
}

export function listDocuments(
  database: Database,
  tailnet: string,
  { limit, before }: { readonly limit: number; readonly before: number | null },
): Omit<DocumentVersion, 'text'>[] {
  return database
    .prepare(
      `SELECT ${DOCUMENT_HEADS.columnList} FROM documents WHERE tailnet = ? AND version < ? ORDER BY version DESC LIMIT ?`,
    )
    .all(tailnet, before ?? Number.MAX_SAFE_INTEGER, pageLimit(limit))
    .map(DOCUMENT_HEADS.fromRow);
}

export function putDocument(
  database: Database,
  document: Omit<DocumentVersion, 'version'>,
  expectedVersion: number,
): number {
  return database.durableTransaction(() => {
    const row = database
      .prepare('SELECT coalesce(max(version), 0) AS version FROM documents WHERE tailnet = ?')
      .get(document.tailnet);
    const latest = row === undefined ? 0 : intOf(row, 'version');
    if (latest !== expectedVersion) {
      throw storeError(
        'store_conflict',
        `the document is at version ${latest}, not ${expectedVersion}: somebody saved it meanwhile`,
      );
    }
    const version = latest + 1;
    database
      .prepare(`INSERT INTO documents (${DOCUMENTS.columnList}) VALUES (${DOCUMENTS.placeholders})`)
      .run(...DOCUMENTS.toValues({ ...document, version }));
    return version;
  });
}

export function listPasskeys(database: Database, tailnet: string): PasskeyRow[] {
  return database
    .prepare(
      `SELECT ${PASSKEYS.columnList} FROM passkeys WHERE tailnet = ? ORDER BY created_at, credential_id`,
    )
    .all(tailnet)
    .map(PASSKEYS.fromRow);
}

/** Adds a passkey, or notes its use; its principal and public key never change. */
export function putPasskey(database: Database, passkey: PasskeyRow): void {
  const sql = `INSERT INTO passkeys (${PASSKEYS.columnList}) VALUES (${PASSKEYS.placeholders})
    ON CONFLICT (tailnet, credential_id) DO UPDATE SET name = excluded.name, counter = excluded.counter,
      transports = excluded.transports, last_used_at = excluded.last_used_at
    WHERE principal = excluded.principal AND public_key = excluded.public_key`;
  const { changes } = database.durableTransaction(() =>
    database.prepare(sql).run(...PASSKEYS.toValues(passkey)),
  );
  if (changes === 0) throw storeError('store_conflict', 'this passkey is registered for somebody else');
}

export function deletePasskey(database: Database, tailnet: string, credentialId: string): boolean {
  const statement = database.prepare('DELETE FROM passkeys WHERE tailnet = ? AND credential_id = ?');
  return database.durableTransaction(() => statement.run(tailnet, credentialId)).changes > 0;
}

/** See `Store.putOwnedObjects`. */
export function putOwnedObjects(database: Database, objects: readonly OwnedObject[]): readonly OwnedObject[] {
  const sql = `INSERT INTO owned_objects (${OWNED_OBJECTS.columnList}) VALUES (${OWNED_OBJECTS.placeholders})
    ON CONFLICT (tailnet, provider, kind, object_id) DO UPDATE SET models = excluded.models,
      parent_id = excluded.parent_id, settled_at = excluded.settled_at
    WHERE principal = excluded.principal`;
  return database.transaction(() =>
    objects.filter((object) => {
      const first = findOwnedObject(database, object.tailnet, object.kind, object.objectId);
      if (first !== null && first.principal !== object.principal) return true;
      database.prepare(sql).run(...OWNED_OBJECTS.toValues(object));
      return false;
    }),
  );
}

export function deleteOwnedObjects(
  database: Database,
  tailnet: string,
  objects: readonly OwnedObjectName[],
): void {
  const sql = 'DELETE FROM owned_objects WHERE tailnet = ? AND provider = ? AND kind = ? AND object_id = ?';
  database.transaction(() => {
    for (const { provider, kind, objectId } of objects)
      database.prepare(sql).run(tailnet, provider, kind, objectId);
  });
}

export function listOwnedObjects(
  database: Database,
  tailnet: string,
  kinds?: readonly string[],
): OwnedObject[] {
  const among = kinds === undefined ? '' : ` AND kind IN (${kinds.map(() => '?').join(', ')})`;
  return database
    .prepare(
      `SELECT ${OWNED_OBJECTS.columnList} FROM owned_objects WHERE tailnet = ?${among} ORDER BY created_at`,
    )
    .all(tailnet, ...(kinds ?? []))
    .map(OWNED_OBJECTS.fromRow);
}

export function findOwnedObject(
  database: Database,
  tailnet: string,
  kind: string,
  objectId: string,
): OwnedObject | null {
  const row = database
    .prepare(
      `SELECT ${OWNED_OBJECTS.columnList} FROM owned_objects WHERE tailnet = ? AND kind = ? AND object_id = ?
       ORDER BY created_at LIMIT 1`,
    )
    .get(tailnet, kind, objectId);
  return row === undefined ? null : OWNED_OBJECTS.fromRow(row);
}

export function getSetting(database: Database, name: string): string | null {
  const row = database.prepare('SELECT value FROM settings WHERE name = ?').get(name);
  return row === undefined ? null : textOf(row, 'value');
}

export function putSetting(database: Database, name: string, value: string): void {
  const sql =
    'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value';
  database.durableTransaction(() => database.prepare(sql).run(name, value));
}
