/**
 * Records out of the store. They are what this program wrote, so that what is malformed is a fault and not
 * guessed: a device that is forgotten would be locked out.
 */
import type { StoredRecord } from './ports.ts';
import type {
  ApiClientRecord,
  AuthKeyRecord,
  CounterRecord,
  NodeRecord,
  RecordKind,
  RecordKinds,
  TailnetRecord,
  UserRecord,
  WebhookRecord,
} from './records.ts';
import { assert } from '../../base/errors.ts';

export interface AllRecords {
  readonly counter: CounterRecord;
  readonly tailnets: readonly TailnetRecord[];
  readonly users: readonly UserRecord[];
  readonly nodes: readonly NodeRecord[];
  readonly authKeys: readonly AuthKeyRecord[];
  readonly apiClients: readonly ApiClientRecord[];
  readonly webhooks: readonly WebhookRecord[];
}

type Shape = Readonly<Record<string, 'text' | 'number' | 'object' | 'boolean' | 'number?' | 'text?'>>;

/** Fields without which a record of that kind is none. */
const SHAPES: Readonly<Record<RecordKind, Shape>> = {
  counter: { lastId: 'number' },
  tailnet: { id: 'text', name: 'text', kind: 'text', taggedUserId: 'number', dns: 'object', policy: 'text?' },
  user: { id: 'number', tailnet: 'text', login: 'text', role: 'text' },
  node: {
    id: 'number',
    stableId: 'text',
    tailnet: 'text',
    machineKey: 'text',
    nodeKey: 'text',
    userId: 'number?',
    tags: 'object',
    name: 'text',
    ipv4: 'text',
    ipv6: 'text',
    isAuthorized: 'boolean',
    isEphemeral: 'boolean',
    keyExpiry: 'number?',
    facts: 'object',
    reach: 'object',
    approvedRoutes: 'object',
  },
  auth_key: {
    id: 'text',
    tailnet: 'text',
    hash: 'text',
    tags: 'object',
    userId: 'number?',
    expiresAt: 'number',
  },
  api_client: { id: 'text', tailnet: 'text', hash: 'text', scopes: 'object', tags: 'object' },
  webhook: {
    id: 'text',
    tailnet: 'text',
    url: 'text',
    format: 'text',
    events: 'object',
    generation: 'number',
  },
};

/** Throws if a record does not have its own shape, or belongs to another tailnet than its row says. */
export function readRecords(rows: readonly StoredRecord[]): AllRecords {
  return {
    counter: readKind(rows, 'counter')[0] ?? { lastId: 0 },
    tailnets: readKind(rows, 'tailnet'),
    users: readKind(rows, 'user'),
    nodes: readKind(rows, 'node'),
    authKeys: readKind(rows, 'auth_key'),
    apiClients: readKind(rows, 'api_client'),
    webhooks: readKind(rows, 'webhook'),
  };
}

function readKind<Kind extends RecordKind>(rows: readonly StoredRecord[], kind: Kind): RecordKinds[Kind][] {
  return rows.filter((row) => row.kind === kind).map((row) => readRecord(row, kind));
}

function readRecord<Kind extends RecordKind>(row: StoredRecord, kind: Kind): RecordKinds[Kind] {
  const value: unknown = JSON.parse(row.body);
  assert(
    isShaped(value, SHAPES[kind]) && tailnetOf(value, kind) === row.tailnet,
    `the stored ${kind} "${row.name}" has its own shape`,
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the ledger as that kind; what identifies it was just looked at
  return value as unknown as RecordKinds[Kind];
}

function tailnetOf(value: Readonly<Record<string, unknown>>, kind: RecordKind): unknown {
  if (kind === 'counter') return '';
  return kind === 'tailnet' ? value['id'] : value['tailnet'];
}

function isShaped(value: unknown, shape: Shape): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Readonly<Record<string, unknown>> = Object(value);
  return Object.entries(shape).every(([name, kind]) => {
    const field = fields[name];
    if (kind.endsWith('?') && field === null) return true;
    if (kind === 'object') return typeof field === 'object' && field !== null;
    return typeof field === (kind.startsWith('text') ? 'string' : kind.replace('?', ''));
  });
}
