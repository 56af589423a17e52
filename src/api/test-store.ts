/** The store that the tests of this folder have: lists, and nothing on a disk. */
import { AppError } from '../base/errors.ts';
import type {
  AuditEntry,
  AuditRow,
  PasskeyRow,
  RequestFilter,
  RequestRow,
  RequestSummary,
  StoredBodies,
  StoredGrant,
  UsageRow,
} from '../store/shapes.ts';
import type { ApiStore } from './ports.ts';

const NO_REQUESTS: RequestSummary = {
  requests: 0,
  outcomes: [],
  reasons: [],
  inputTokens: 0,
  cacheReadTokens: 0,
  outputTokens: 0,
  costNanoUsd: 0,
  savedNanoUsd: 0,
  latency: { p50Us: null, p95Us: null, firstByteP50Us: null, firstByteP95Us: null, sampled: 0 },
};

/** A store of this test; `isDown` makes what it writes fail. */
export function memoryStore(isDown: () => boolean) {
  const rows: RequestRow[] = [];
  const bodies = new Map<string, StoredBodies>();
  const grants: StoredGrant[] = [];
  const passkeys: PasskeyRow[] = [];
  const audit: AuditRow[] = [];
  const settings = new Map<string, string>();
  const usage: UsageRow[] = [];
  const filters: RequestFilter[] = [];
  const port: ApiStore = {
    async listRequests(filter, page) {
      if (page.cursor !== undefined)
        throw new AppError('store_bad_cursor', 'the cursor is not one of this list');
      filters.push(filter);
      const items = rows.filter(
        (row) =>
          row.tailnet === filter.tailnet &&
          (filter.principals === undefined || filter.principals.includes(row.principal)) &&
          (filter.groups === undefined || row.groups.some((group) => filter.groups?.includes(group))),
      );
      return { items, nextCursor: null };
    },
    getRequest: async (tailnet, id) => rows.find((row) => row.id === id && row.tailnet === tailnet) ?? null,
    getBodies: async (_tailnet, id) => bodies.get(id) ?? null,
    getOutlines: async () => ({ requests: [], items: [] }),
    getAnswers: async () => [],
    async listSessions(filter) {
      filters.push(filter);
      return { items: [], nextCursor: null };
    },
    async summarizeRequests(filter) {
      filters.push(filter);
      return NO_REQUESTS;
    },
    async summarizeProviders(filter) {
      filters.push(filter);
      return [];
    },
    async queryAdoption(filter) {
      filters.push(filter);
      return [];
    },
    async queryUsage(filter) {
      filters.push(filter);
      return usage;
    },
    listGrants: async () => grants,
    async putGrant(grant) {
      grants.push(grant);
    },
    async deleteGrant(principal, role, approvalId) {
      const at = grants.findIndex(
        (grant) => grant.principal === principal && grant.role === role && grant.approvalId === approvalId,
      );
      if (at >= 0) grants.splice(at, 1);
      return at >= 0;
    },
    listPasskeys: async () => passkeys,
    async putPasskey(passkey) {
      const at = passkeys.findIndex((row) => row.credentialId === passkey.credentialId);
      if (at >= 0) passkeys[at] = passkey;
      else passkeys.push(passkey);
    },
    async deletePasskey(_tailnet, id) {
      const at = passkeys.findIndex((row) => row.credentialId === id);
      if (at >= 0) passkeys.splice(at, 1);
      return at >= 0;
    },
    async appendAudit(entry: AuditEntry) {
      if (isDown()) throw new AppError('store_write_failed', 'disk full');
      const row = { ...entry, seq: audit.length + 1, hash: 'aa' };
      audit.push(row);
      return row;
    },
    listAudit: async () => ({ items: audit, nextCursor: null }),
    countAuditActions: async () => [],
    verifyAudit: async () => ({ rows: audit.length, brokenAt: null }),
    getSetting: async (name) => settings.get(name) ?? null,
    async putSetting(name, value) {
      settings.set(name, value);
    },
    async health() {
      if (isDown()) throw new AppError('store_write_failed', 'disk full');
      return { bytes: 1, requests: rows.length, bodyItems: 0 };
    },
  };
  return { port, rows, bodies, grants, passkeys, audit, settings, usage, filters };
}
