/**
 * The store over SQLite: one file, two threads. The writer owns all changes; the reader answers
 * queries from its own connection, so that a long one never delays an append. SQLite's WAL mode
 * lets both go on at once, and a killed process leaves a file that opens.
 */
import { chmod, open, stat } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { storeError } from '../errors.ts';
import type { Store } from '../shapes.ts';
import { AUDIT_CHECK_START } from './audit.ts';
import { BatchPacker } from './batch-transfer.ts';
import type { ReaderMethods, StoreKeys, WriterMethods } from './methods.ts';
import type { WorkerStart } from './protocol.ts';
import { WorkerClient } from './worker-client.ts';

export interface SqliteStoreOptions extends StoreKeys {
  /** Path of the database; made with mode 0600 in a folder that exists. */
  readonly file: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Opens the store and brings its schema up to date. Rejects with `store_open_failed`,
 * `store_newer_schema` or `store_corrupt`.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  await makePrivateFile(options.file);
  const startOf = (role: WorkerStart['role']) => (): WorkerStart => ({
    file: options.file,
    role,
    now: options.clock.now(),
    auditKey: options.auditKey,
    bodyKey: options.bodyKey,
    bodyHashKey: options.bodyHashKey,
  });
  const writer = new WorkerClient<WriterMethods>(startOf('writer'), options.logger);
  await writer.open();
  const reader = new WorkerClient<ReaderMethods>(startOf('reader'), options.logger);
  try {
    await reader.open();
  } catch (error) {
    await writer.close();
    throw error;
  }
  return assembleStore(options, writer, reader);
}

function assembleStore(
  options: SqliteStoreOptions,
  writer: WorkerClient<WriterMethods>,
  reader: WorkerClient<ReaderMethods>,
): Store {
  const packer = new BatchPacker();
  return {
    async appendRequests(batch) {
      const packed = await packer.pack(batch);
      packer.giveBack(await writer.call('appendRequests', [packed], [packed.data]));
    },
    listRequests: (filter, page) => reader.call('listRequests', [filter, page]),
    getRequest: (tailnet, id) => reader.call('getRequest', [tailnet, id]),
    getBodies: (tailnet, id) => reader.call('getBodies', [tailnet, id]),
    getOutlines: (tailnet, requestIds, known) => reader.call('getOutlines', [tailnet, requestIds, known]),
    getAnswers: (tailnet, requestIds) => reader.call('getAnswers', [tailnet, requestIds]),
    listSessions: (filter, page) => reader.call('listSessions', [filter, page]),
    summarizeRequests: (filter) => reader.call('summarizeRequests', [filter]),
    summarizeProviders: (filter) => reader.call('summarizeProviders', [filter]),
    queryAdoption: (filter, unit, timeZone) => reader.call('queryAdoption', [filter, unit, timeZone]),
    queryUsage: (filter, groupBy, timeZone) => reader.call('queryUsage', [filter, groupBy, timeZone]),

    listGrants: () => reader.call('listGrants', []),
    putGrant: (grant) => writer.call('putGrant', [grant]),
    deleteGrant: (principal, role, approvalId) => writer.call('deleteGrant', [principal, role, approvalId]),

    listTokens: (tailnet) => reader.call('listTokens', [tailnet]),
    putToken: (token) => writer.call('putToken', [token]),
    revokeToken: (tailnet, id, at) => writer.call('revokeToken', [tailnet, id, at]),
    touchTokens: (used) => writer.call('touchTokens', [used]),

    listProviderKeys: (tailnet) => reader.call('listProviderKeys', [tailnet]),
    putProviderKey: (key) => writer.call('putProviderKey', [key]),

    latestDocument: (tailnet) => reader.call('latestDocument', [tailnet]),
    getDocument: (tailnet, version) => reader.call('getDocument', [tailnet, version]),
    listDocuments: (tailnet, page) => reader.call('listDocuments', [tailnet, page]),
    putDocument: (document, expectedVersion) => writer.call('putDocument', [document, expectedVersion]),

    listPasskeys: (tailnet) => reader.call('listPasskeys', [tailnet]),
    putPasskey: (passkey) => writer.call('putPasskey', [passkey]),
    deletePasskey: (tailnet, credentialId) => writer.call('deletePasskey', [tailnet, credentialId]),

    appendAudit: (entry) => writer.call('appendAudit', [entry]),
    listAudit: (tailnet, filter, page) => reader.call('listAudit', [tailnet, filter, page]),
    countAuditActions: (tailnet) => reader.call('countAuditActions', [tailnet]),
    async verifyAudit(tailnet) {
      let check = AUDIT_CHECK_START;
      while (!check.isDone) check = await reader.call('verifyAuditSlice', [tailnet, check]);
      return { rows: check.rows, brokenAt: check.brokenAt };
    },

    putOwnedObjects: (objects) => writer.call('putOwnedObjects', [objects]),
    deleteOwnedObjects: (tailnet, objects) => writer.call('deleteOwnedObjects', [tailnet, objects]),
    listOwnedObjects: (tailnet, kinds) => reader.call('listOwnedObjects', [tailnet, kinds]),
    findOwnedObject: (tailnet, kind, objectId) => reader.call('findOwnedObject', [tailnet, kind, objectId]),

    getSetting: (name) => reader.call('getSetting', [name]),
    putSetting: (name, value) => writer.call('putSetting', [name, value]),

    leaseBudget: (call) => writer.call('leaseBudget', [call]),
    returnBudget: (call) => writer.call('returnBudget', [call]),
    listBudgets: (filter, page, asker) => reader.call('listBudgets', [filter, page, asker]),
    refillBudget: (tailnet, bucket, amount, asker, approval = null) =>
      writer.call('refillBudget', [tailnet, bucket, amount, asker, approval]),
    deleteBudgets: (tailnet, keepQuotas) => writer.call('deleteBudgets', [tailnet, keepQuotas]),

    askApproval: (row, ask) => writer.call('askApproval', [row, ask]),
    useApproval: (use) => writer.call('useApproval', [use]),
    replaceApproval: (row, expected) => writer.call('replaceApproval', [row, expected]),
    expireApprovals: (tailnet, now) => writer.call('expireApprovals', [tailnet, now]),
    forgetApprovals: (tailnet, before) => writer.call('forgetApprovals', [tailnet, before]),
    getApproval: (tailnet, id) => reader.call('getApproval', [tailnet, id]),
    settledApprovals: (tailnet, ids) => reader.call('settledApprovals', [tailnet, ids]),
    listApprovals: (filter, page) => reader.call('listApprovals', [filter, page]),

    putMemories: (rows) => writer.call('putMemories', [rows]),
    deleteMemories: (tailnet, names) => writer.call('deleteMemories', [tailnet, names]),
    forgetMemories: (tailnet, kind, bounds) => writer.call('forgetMemories', [tailnet, kind, bounds]),
    listMemories: (tailnet, kind, bounds) => reader.call('listMemories', [tailnet, kind, bounds]),

    listControlRecords: () => reader.call('listControlRecords', []),
    writeControlRecords: (puts, deletes) => writer.call('writeControlRecords', [puts, deletes]),

    async health() {
      await writer.call('putSetting', ['store.health', String(options.clock.now())]);
      const [counts, bytes] = await Promise.all([reader.call('counts', []), bytesOnDisk(options.file)]);
      return { bytes, ...counts };
    },
    async close() {
      // The reader first, so that the writer can fold the write-ahead log into the file.
      await reader.close();
      await writer.close();
    },
  };
}

/** SQLite gives its own companion files (`-wal`, `-shm`) the mode of the database file. */
async function makePrivateFile(file: string): Promise<void> {
  try {
    const handle = await open(file, 'a', 0o600);
    await handle.close();
    await chmod(file, 0o600);
  } catch (cause) {
    throw storeError(
      'store_open_failed',
      `the database file ${file} cannot be opened for writing`,
      undefined,
      cause,
    );
  }
}

async function bytesOnDisk(file: string): Promise<number> {
  let bytes = 0;
  for (const name of [file, `${file}-wal`]) {
    // The log is not there after a checkpoint that emptied it.
    const found = await stat(name).catch(() => null);
    bytes += found?.size ?? 0;
  }
  return bytes;
}
