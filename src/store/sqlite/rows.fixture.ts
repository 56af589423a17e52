/** Rows and folders for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { KEY_LABELS, createKeyring } from '../../crypto/index.ts';
import type { AuditEntry, CapturedBodies, RequestBatch, RequestRow, Store } from '../shapes.ts';
import { layOut, type PackedBatch } from './batch-transfer.ts';
import type { BodyKeys } from './bodies/body-store.ts';
import { Database } from './database.ts';
import type { StoreKeys } from './methods.ts';
import { migrate } from './migrate.ts';
import { openSqliteStore } from './open.ts';
import { RequestWriter } from './request-writer.ts';

/** 2026-01-05T12:00:00Z, a Monday. */
export const NOON = Date.UTC(2026, 0, 5, 12);

const keyring = createKeyring(new Uint8Array(32).fill(7));

export const TEST_KEYS: StoreKeys = {
  auditKey: keyring.key(KEY_LABELS.audit),
  bodyKey: keyring.key(KEY_LABELS.bodySeal),
  bodyHashKey: keyring.key(KEY_LABELS.bodyHash),
};

/** An exchange of alice's; give what matters to the test. */
export function requestRow(id: string, given: Partial<RequestRow> = {}): RequestRow {
  return {
    id,
    tailnet: 'home',
    startedAt: NOON,
    principal: 'local:1000',
    userLabel: 'alice',
    groups: [],
    deviceId: null,
    deviceName: null,
    door: 'local',
    via: null,
    tokenId: null,
    agent: null,
    sessionId: null,
    format: 'anthropic_messages',
    method: 'POST',
    path: '/v1/messages',
    streamed: false,
    requestedModel: 'claude',
    provider: 'anthropic',
    model: 'claude',
    keyId: 'key_1',
    status: 200,
    outcome: 'ok',
    reason: null,
    rule: null,
    costNanoUsd: 1_000,
    costState: 'priced',
    estimated: false,
    toolCalls: [],
    decisions: [],
    savedNanoUsd: 0,
    stopReason: 'end_turn',
    responseId: null,
    identityUs: 1,
    decisionUs: 2,
    firstByteUs: 3,
    upstreamUs: 4,
    ownUs: 5,
    totalUs: 6,
    requestBytes: 7,
    responseBytes: 8,
    capture: 'metadata',
    inputTokens: 10,
    cacheReadTokens: 4,
    cacheWriteTokens: 3,
    cacheWrite1hTokens: 2,
    outputTokens: 5,
    reasoningTokens: 1,
    inputAudioTokens: null,
    outputAudioTokens: null,
    inputImageTokens: null,
    outputImageTokens: null,
    webSearches: null,
    ...given,
  };
}

export function capturedBodies(requestId: string, request: Uint8Array, response: Uint8Array): CapturedBodies {
  return {
    requestId,
    tailnet: 'home',
    principal: 'local:1000',
    format: 'anthropic_messages',
    request,
    requestContentType: 'application/json',
    response,
    responseContentType: null,
    responseTruncated: false,
  };
}

export function auditEntry(given: Partial<AuditEntry> = {}): AuditEntry {
  return {
    tailnet: 'home',
    at: NOON,
    actor: 'local:1000',
    actorLabel: 'alice',
    door: 'local',
    presence: 'passkey',
    action: 'token.create',
    target: 'tok_1',
    reason: null,
    facts: { name: 'ci' },
    ...given,
  };
}

/** A folder that is gone when the test ends. */
export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-store-'));
  try {
    await test(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function openTestStore(file: string): Promise<Store> {
  return openSqliteStore({ file, logger: silentLogger, clock: systemClock, ...TEST_KEYS });
}

/** A store in a folder of its own. */
export function withStore(test: (store: Store, file: string) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const file = join(folder, 'postern.db');
    const store = await openTestStore(file);
    try {
      await test(store, file);
    } finally {
      await store.close();
    }
  });
}

/** A database in memory, on this thread. */
export function withDatabase(test: (database: Database) => void): void {
  const database = new Database(':memory:', 'writer');
  try {
    migrate(database, NOON);
    test(database);
  } finally {
    database.close();
  }
}

/** A batch as it arrives at the writer. */
function packNow(batch: RequestBatch): PackedBatch {
  const { packed, copies } = layOut(batch, (bytes) => new ArrayBuffer(bytes));
  for (const { bytes, at } of copies) new Uint8Array(packed.data).set(bytes, at);
  return packed;
}

const writers = new WeakMap<Database, RequestWriter>();

/** Appends as the store does, with what its writer remembers of this database. */
export function appendRequests(database: Database, keys: BodyKeys, batch: RequestBatch): void {
  const writer = writers.get(database) ?? new RequestWriter(database, keys);
  writers.set(database, writer);
  writer.append(packNow(batch));
}
