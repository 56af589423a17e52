/** What each of the two database threads answers to; the only list of their methods. */
import type { ApprovalAsk, ApprovalFilter, ApprovalRow, ApprovalUse } from '../approval-shapes.ts';
import type { BudgetFilter, BudgetLeaseCall } from '../budget-shapes.ts';
import type { ControlRecordName, ControlRecordRow } from '../control-shapes.ts';
import type { MemoryBounds, MemoryName, MemoryRow } from '../memory-shapes.ts';
import type {
  AuditEntry,
  AuditFilter,
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
import * as approvals from './approvals.ts';
import { queryAdoption } from './adoption.ts';
import { appendAudit, type AuditCheck, countAuditActions, listAudit, verifyAuditSlice } from './audit.ts';
import type { PackedBatch } from './batch-transfer.ts';
import { getBodies, type BodyKeys } from './bodies/body-store.ts';
import { getAnswers, getOutlines } from './bodies/outlines.ts';
import { intOf } from './columns.ts';
import { listControlRecords, writeControlRecords } from './control-records.ts';
import { deleteBudgets, leaseBudget, listBudgets, refillBudget, returnBudget } from './budgets.ts';
import type { Database } from './database.ts';
import * as memories from './memories.ts';
import * as records from './records.ts';
import { getRequest, listRequests, listSessions } from './request-queries.ts';
import { summarizeProviders, summarizeRequests } from './request-summary.ts';
import { RequestWriter } from './request-writer.ts';
import type { TimeUnit } from './time-buckets.ts';
import { queryUsage } from './usage.ts';

export interface StoreKeys extends BodyKeys {
  /** Chain and checkpoints of the audit log. */
  readonly auditKey: Uint8Array;
}

/** Methods of the writing thread. */
export function writerMethods(database: Database, keys: StoreKeys) {
  const requests = new RequestWriter(database, keys);
  return {
    /** Gives the buffer back. */
    appendRequests: (batch: PackedBatch): ArrayBuffer => {
      requests.append(batch);
      return batch.data;
    },
    putGrant: (grant: StoredGrant) => records.putGrant(database, grant),
    deleteGrant: (principal: string, role: string, approvalId: string | null) =>
      records.deleteGrant(database, principal, role, approvalId),
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
    leaseBudget: (call: BudgetLeaseCall) => leaseBudget(database, call),
    returnBudget: (call: BudgetLeaseCall) => returnBudget(database, call),
    refillBudget: (
      tailnet: string,
      bucket: string,
      amount: number,
      asker: { readonly instance: string; readonly now: number },
      approval: { readonly id: string; readonly now: number } | null,
    ) => refillBudget(database, { tailnet, bucket, amount, asker, approval }),
    deleteBudgets: (tailnet: string, keepQuotas: readonly string[]) =>
      deleteBudgets(database, tailnet, keepQuotas),
    askApproval: (row: ApprovalRow, ask: ApprovalAsk) => approvals.askApproval(database, row, ask),
    useApproval: (use: ApprovalUse) => approvals.useApproval(database, use),
    replaceApproval: (row: ApprovalRow, expected: number) =>
      approvals.replaceApproval(database, row, expected),
    expireApprovals: (tailnet: string, now: number) => approvals.expireApprovals(database, tailnet, now),
    forgetApprovals: (
      tailnet: string,
      before: { readonly contentBefore: number; readonly rowsBefore: number },
    ) => approvals.forgetApprovals(database, tailnet, before),
    putMemories: (rows: readonly MemoryRow[]) => memories.putMemories(database, rows),
    deleteMemories: (tailnet: string, names: readonly MemoryName[]) =>
      memories.deleteMemories(database, tailnet, names),
    forgetMemories: (tailnet: string, kind: string, bounds: MemoryBounds) =>
      memories.forgetMemories(database, tailnet, kind, bounds),
    writeControlRecords: (puts: readonly ControlRecordRow[], deletes: readonly ControlRecordName[]) =>
      writeControlRecords(database, puts, deletes),
  };
}

/** Methods of the reading thread, which sees what is committed. */
export function readerMethods(database: Database, keys: StoreKeys) {
  return {
    listRequests: (filter: RequestFilter, page: PageRequest) => listRequests(database, filter, page),
    getRequest: (tailnet: string, id: string) => getRequest(database, tailnet, id),
    getBodies: (tailnet: string, id: string) => getBodies(database, keys, tailnet, id),
    getOutlines: (tailnet: string, requestIds: readonly string[], known: readonly number[]) =>
      getOutlines(database, keys, { tailnet, requestIds, known }),
    getAnswers: (tailnet: string, requestIds: readonly string[]) =>
      getAnswers(database, keys, tailnet, requestIds),
    listSessions: (filter: RequestFilter, page: PageRequest) => listSessions(database, filter, page),
    summarizeRequests: (filter: RequestFilter) => summarizeRequests(database, filter),
    summarizeProviders: (filter: RequestFilter) => summarizeProviders(database, filter),
    queryAdoption: (filter: RequestFilter, unit: TimeUnit, timeZone: string) =>
      queryAdoption(database, filter, unit, timeZone),
    queryUsage: (filter: RequestFilter, groupBy: readonly UsageGroupBy[], timeZone: string) =>
      queryUsage(database, filter, groupBy, timeZone),
    listGrants: () => records.listGrants(database),
    listTokens: (tailnet: string) => records.listTokens(database, tailnet),
    listProviderKeys: (tailnet: string) => records.listProviderKeys(database, tailnet),
    latestDocument: (tailnet: string) => records.latestDocument(database, tailnet),
    getDocument: (tailnet: string, version: number) => records.getDocument(database, tailnet, version),
    listDocuments: (tailnet: string, page: { readonly limit: number; readonly before: number | null }) =>
      records.listDocuments(database, tailnet, page),
    listPasskeys: (tailnet: string) => records.listPasskeys(database, tailnet),
    listAudit: (tailnet: string, filter: AuditFilter, page: PageRequest) =>
      listAudit(database, tailnet, filter, page),
    countAuditActions: (tailnet: string) => countAuditActions(database, tailnet),
    verifyAuditSlice: (tailnet: string, from: AuditCheck) =>
      verifyAuditSlice(database, keys.auditKey, tailnet, from),
    listOwnedObjects: (tailnet: string, kinds?: readonly string[]) =>
      records.listOwnedObjects(database, tailnet, kinds),
    findOwnedObject: (tailnet: string, kind: string, objectId: string) =>
      records.findOwnedObject(database, tailnet, kind, objectId),
    getSetting: (name: string) => records.getSetting(database, name),
    listBudgets: (
      filter: BudgetFilter,
      page: PageRequest,
      asker: { readonly instance: string; readonly now: number },
    ) => listBudgets(database, filter, page, asker),
    getApproval: (tailnet: string, id: string) => approvals.getApproval(database, tailnet, id),
    settledApprovals: (tailnet: string, ids: readonly string[]) =>
      approvals.settledApprovals(database, tailnet, ids),
    listApprovals: (filter: ApprovalFilter, page: PageRequest) =>
      approvals.listApprovals(database, filter, page),
    listMemories: (tailnet: string, kind: string, bounds: MemoryBounds) =>
      memories.listMemories(database, tailnet, kind, bounds),
    listControlRecords: () => listControlRecords(database),
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
