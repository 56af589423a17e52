/**
 * A state folder with a great many records, written before a server opens it: by the store's own
 * functions, as the recorder and the routes use them, but in one transaction and without a request
 * for each. 100,000 requests take two seconds instead of minutes.
 */
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { openState } from '../../src/composition/open-state.ts';
import { loadOperatorSettings, settingsFiles } from '../../src/config/index.ts';
import { KEY_LABELS } from '../../src/crypto/index.ts';
import type { ApprovalRow, AuditEntry, RequestRow, Store, TokenRow } from '../../src/store/index.ts';
import { askApproval } from '../../src/store/sqlite/approvals.ts';
import { appendAudit } from '../../src/store/sqlite/audit.ts';
import { Database } from '../../src/store/sqlite/database.ts';
import { putDocument, putToken } from '../../src/store/sqlite/records.ts';
import { auditEntry, requestRow } from '../../src/store/sqlite/rows.fixture.ts';

/** As server.ts names it. */
const TAILNET = 'default';
/** Rows of one batch of requests. */
const BATCH_ROWS = 5_000;
const DAY_MS = 86_400_000;

/** How many of each; none unless told. */
export interface ManyRecords {
  /** Over the last six days, evenly. */
  readonly requests?: number;
  /** Who made them, in turn; the first is whoever runs the tests. Default 1. */
  readonly users?: number;
  /** Decided ones. */
  readonly approvals?: number;
  readonly audit?: number;
  readonly versions?: number;
  readonly tokens?: number;
}

/** Fills an empty state folder. */
export async function writeManyRecords(stateDir: string, many: ManyRecords): Promise<void> {
  const { requests = 0, users = 1 } = many;
  const now = Date.now();
  await write(stateDir, {
    async requests(store) {
      for (let start = 0; start < requests; start += BATCH_ROWS) {
        const count = Math.min(BATCH_ROWS, requests - start);
        const rows = Array.from({ length: count }, (_, at) => requestOf(start + at, users, requests, now));
        await store.appendRequests({ rows, bodies: [] });
      }
    },
    rest(database, auditKey) {
      for (let index = 0; index < (many.audit ?? 0); index += 1)
        appendAudit(database, auditKey, auditOf(index, now));
      for (let index = 0; index < (many.approvals ?? 0); index += 1)
        askApproval(database, approvalOf(index, now), ASK);
      for (let index = 0; index < (many.tokens ?? 0); index += 1) putToken(database, tokenOf(index, now));
      for (let version = 0; version < (many.versions ?? 0); version += 1)
        putDocument(database, documentOf(version, now), version);
    },
  });
}

/**
 * One record of each kind for each name, which stands wherever a stranger's word can: `req_named_0`,
 * `apr_waiting_0` and on. Approvals wait for whoever runs the tests, for so long from now.
 */
export async function writeNamedRecords(
  stateDir: string,
  names: readonly string[],
  waitsMs = DAY_MS,
): Promise<void> {
  const now = Date.now();
  await write(stateDir, {
    requests: (store) =>
      store.appendRequests({ rows: names.map((name, index) => namedRequest(name, index, now)), bodies: [] }),
    rest(database, auditKey) {
      for (const [index, name] of names.entries()) {
        const target = name.slice(0, 500);
        const audit = { actorLabel: name, target, reason: name, facts: { said: name } };
        appendAudit(database, auditKey, { ...auditOf(index, now), ...audit });
        const asked = {
          label: name,
          agent: name,
          sessionId: name.slice(0, 200),
          subject: name,
          reason: name,
        };
        for (const state of ['denied', 'pending'] as const)
          askApproval(database, { ...namedApproval(index, state, { now, waitsMs }), ...asked }, ASK);
        putToken(database, { ...tokenOf(index, now), name, ownerLabel: name });
        putDocument(database, { ...documentOf(index, now), comment: name, createdBy: name }, index);
      }
    },
  });
}

/** Room for as many questions as a test wants. */
const ASK = { uses: false, pendingPerPrincipalMax: 1_000, pendingMax: 1_000 } as const;

interface Writing {
  requests(store: Store): Promise<void>;
  rest(database: Database, auditKey: Uint8Array): void;
}

async function write(stateDir: string, writing: Writing): Promise<void> {
  const settings = loadOperatorSettings({
    flags: { stateDir },
    env: {},
    platform: process.platform,
    homedir: stateDir,
    readFile: settingsFiles.readFile,
  });
  const logger = silentLogger;
  const options = { settings, tailnet: TAILNET, clock: systemClock, random: systemRandom, logger };
  const { store, keyring } = await openState(options);
  await writing.requests(store);
  await store.close();
  const database = new OneTransaction(join(stateDir, 'postern.db'), 'writer');
  database.exec('BEGIN IMMEDIATE');
  writing.rest(database, keyring.key(KEY_LABELS.audit));
  database.exec('COMMIT');
  database.close();
}

function namedRequest(name: string, index: number, now: number): RequestRow {
  return requestRow(`req_named_${index}`, {
    tailnet: TAILNET,
    startedAt: now - 60_000 - index,
    principal: `local:${userInfo().uid}`,
    userLabel: name,
    deviceId: `node-${index}`,
    deviceName: name,
    agent: name,
    sessionId: `named-${index} ${name.slice(0, 200)}`,
    requestedModel: name,
    model: name,
    provider: name,
    outcome: 'refused',
    status: 403,
    reason: name,
    rule: name,
    path: `/v1/${name}`,
    toolCalls: [name, name],
    stopReason: name,
    decisions: [{ about: 'tool_call', name, action: 'denied', rule: name, approvalId: null }],
  });
}

function namedApproval(
  index: number,
  state: 'denied' | 'pending',
  { now, waitsMs }: { readonly now: number; readonly waitsMs: number },
): ApprovalRow {
  const row = approvalOf(index, now);
  if (state === 'denied') return { ...row, state, usedAt: null };
  const waits = { createdAt: now, expiresAt: now + waitsMs, decidedAt: null };
  return { ...row, ...waits, state, id: `apr_waiting_${index}`, binding: `waiting ${index}` };
}

/** Everything that is written belongs to the one transaction around it. */
class OneTransaction extends Database {
  override transaction<Result>(work: () => Result): Result {
    return work();
  }

  override durableTransaction<Result>(work: () => Result): Result {
    return work();
  }
}

const padded = (index: number): string => String(index).padStart(6, '0');

function requestOf(index: number, users: number, count: number, now: number): RequestRow {
  const user = index % users;
  const refused = index % 50 === 0;
  return requestRow(`req_${padded(index)}`, {
    tailnet: TAILNET,
    startedAt: now - Math.floor((6 * DAY_MS * (count - index)) / count),
    principal: user === 0 ? `local:${userInfo().uid}` : `user:person-${user}@example.com`,
    userLabel: user === 0 ? 'me' : `person-${user}@example.com`,
    deviceId: `node-${user}`,
    deviceName: `laptop-${user}`,
    agent: ['claude-code', 'codex', 'gemini-cli'][index % 3] ?? null,
    // As many sessions as requests: the most rows that the list can have.
    sessionId: `session-${padded(index)}`,
    model: `model-${index % 40}`,
    requestedModel: `model-${index % 40}`,
    provider: ['anthropic', 'openai', 'gemini'][index % 3] ?? null,
    ...(refused ? { outcome: 'refused' as const, status: 403, reason: 'model_not_allowed' } : {}),
    costNanoUsd: 1_000_000 + index,
    totalUs: 900_000,
    upstreamUs: 800_000,
    firstByteUs: 300_000,
  });
}

function auditOf(index: number, now: number): AuditEntry {
  return auditEntry({
    tailnet: TAILNET,
    at: now - 100_000 + index,
    action: ['token.create', 'key.promote', 'config.save', 'prompt.read'][index % 4] ?? '',
    target: `target_${padded(index)}`,
  });
}

function approvalOf(index: number, now: number): ApprovalRow {
  const createdAt = now - DAY_MS - index * 1_000;
  return {
    id: `apr_${padded(index)}`,
    tailnet: TAILNET,
    state: index % 2 === 0 ? 'used' : 'denied',
    revision: 2,
    binding: padded(index),
    principal: `user:person-${index % 100}@example.com`,
    label: `person-${index % 100}@example.com`,
    deviceId: null,
    tokenId: null,
    agent: 'claude-code',
    sessionId: `session-${index % 1_000}`,
    subjectKind: 'tool',
    subject: 'Bash',
    amount: null,
    unit: null,
    entry: 'default',
    terms: {
      approvers: [`local:${userInfo().uid}`],
      quorum: 1,
      selfApprove: false,
      holdMs: 0,
      pendingMs: 60_000,
      scopes: ['once'],
      maxDurationMs: 0,
      allowEdit: false,
    },
    rule: 'rules[0]',
    requestId: null,
    provider: null,
    model: null,
    held: false,
    sealedPreview: null,
    sealedContent: null,
    sealedEdit: null,
    edits: 0,
    votes: [],
    createdAt,
    expiresAt: createdAt + 60_000,
    decidedAt: createdAt + 30_000,
    reason: null,
    once: true,
    sessionBound: false,
    validUntil: null,
    usedAt: index % 2 === 0 ? createdAt + 31_000 : null,
  };
}

function tokenOf(index: number, now: number): TokenRow {
  return {
    id: `tok_${padded(index)}`,
    tailnet: TAILNET,
    owner: `service:worker-${index}`,
    ownerLabel: `worker-${index}`,
    name: `token ${index}`,
    hash: padded(index).repeat(8),
    scopes: ['use'],
    models: null,
    createdAt: now - index,
    createdBy: 'operator',
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  };
}

function documentOf(version: number, now: number): Parameters<typeof putDocument>[1] {
  return {
    tailnet: TAILNET,
    text: `{ "grants": [] } // ${version}`,
    createdAt: now - DAY_MS + version,
    createdBy: 'user:writer@example.com',
    comment: `change ${version}`,
  };
}
