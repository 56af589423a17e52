/** What each of the two database threads answers to; the only list of their methods. */
import type {
  AuditEntry,
  DocumentVersion,
  OwnedObject,
  OwnedObjectName,
  PageRequest,
  PasskeyRow,
  ProviderKeyRow,
  RequestFilter,
  StoredGrant,
  TokenRow,
  UsageGroupBy,
} from '../shapes.ts';
import { appendRequests } from './append-requests.ts';
import { appendAudit, listAudit, verifyAudit } from './audit.ts';
import { unpackBatch, type PackedBatch } from './batch-transfer.ts';
import { getBodies, type BodyKeys } from './bodies/body-store.ts';
import { intOf } from './columns.ts';
import type { Database } from './database.ts';
import * as records from './records.ts';
import { getRequest, listRequests, listSessions } from './request-queries.ts';
import { queryUsage } from './usage.ts';

export interface StoreKeys extends BodyKeys {
  /** Chain and checkpoints of the audit log. */
  readonly auditKey: Uint8Array;
}

/** Methods of the writing thread. */
export function writerMethods(database: Database, keys: StoreKeys) {
  return {
    appendRequests: (batch: PackedBatch) => appendRequests(database, keys, unpackBatch(batch)),
    putGrant: (grant: StoredGrant) => records.putGrant(database, grant),
    deleteGrant: (principal: string, role: string) => records.deleteGrant(database, principal, role),
    putToken: (token: TokenRow) => records.putToken(database, token),
    revokeToken: (tailnet: string, id: string, at: number) => records.revokeToken(database, tailnet, id, at),
    touchTokens: (used: readonly { id: string; at: number }[]) => records.touchTokens(database, used),
    putProviderKey: (key: ProviderKeyRow) => records.putProviderKey(database, key),
    putDocument: (document: Omit<DocumentVersion, 'version'>, expectedVersion: number) =>
      records.putDocument(database, document, expectedVersion),
    putPasskey: (passkey: PasskeyRow) => records.putPasskey(database, passkey),
    deletePasskey: (tailnet: string, credentialId: string) =>
      records.deletePasskey(database, tailnet, credentialId),
    appendAudit: (entry: AuditEntry) => appendAudit(database, keys.auditKey, entry),
    putOwnedObjects: (objects: readonly OwnedObject[]) => records.putOwnedObjects(database, objects),
    deleteOwnedObjects: (tailnet: string, objects: readonly OwnedObjectName[]) =>
      records.deleteOwnedObjects(database, tailnet, objects),
    putSetting: (name: string, value: string) => records.putSetting(database, name, value),
  };
}

/** Methods of the reading thread, which sees what is committed. */
export function readerMethods(database: Database, keys: StoreKeys) {
  return {
    listRequests: (filter: RequestFilter, page: PageRequest) => listRequests(database, filter, page),
    getRequest: (tailnet: string, id: string) => getRequest(database, tailnet, id),
    getBodies: (tailnet: string, id: string) => getBodies(database, keys, tailnet, id),
    listSessions: (filter: RequestFilter, page: PageRequest) => listSessions(database, filter, page),
    queryUsage: (filter: RequestFilter, groupBy: readonly UsageGroupBy[], timeZone: string) =>
      queryUsage(database, filter, groupBy, timeZone),
    listGrants: () => records.listGrants(database),
    listTokens: (tailnet: string) => records.listTokens(database, tailnet),
    listProviderKeys: (tailnet: string) => records.listProviderKeys(database, tailnet),
    latestDocument: (tailnet: string) => records.latestDocument(database, tailnet),
    getDocument: (tailnet: string, version: number) => records.getDocument(database, tailnet, version),
    listDocuments: (tailnet: string, limit: number) => records.listDocuments(database, tailnet, limit),
    listPasskeys: (tailnet: string) => records.listPasskeys(database, tailnet),
    listAudit: (
      tailnet: string,
      filter: { actor?: string; action?: string; from?: number; to?: number },
      page: PageRequest,
    ) => listAudit(database, tailnet, filter, page),
    verifyAudit: (tailnet: string) => verifyAudit(database, keys.auditKey, tailnet),
    listOwnedObjects: (tailnet: string, kinds?: readonly string[]) =>
      records.listOwnedObjects(database, tailnet, kinds),
    findOwnedObject: (tailnet: string, kind: string, objectId: string) =>
      records.findOwnedObject(database, tailnet, kind, objectId),
    getSetting: (name: string) => records.getSetting(database, name),
    counts: () => counts(database),
  };
}

export type WriterMethods = ReturnType<typeof writerMethods>;
export type ReaderMethods = ReturnType<typeof readerMethods>;

/** Rows so far. Nothing is deleted from these two tables, so the last number is the count. */
function counts(database: Database): { requests: number; bodyItems: number } {
  const row = database
    .prepare(
      'SELECT (SELECT coalesce(max(seq), 0) FROM requests) AS requests, (SELECT coalesce(max(id), 0) FROM body_items) AS items',
    )
    .get();
  return row === undefined
    ? { requests: 0, bodyItems: 0 }
    : { requests: intOf(row, 'requests'), bodyItems: intOf(row, 'items') };
}
