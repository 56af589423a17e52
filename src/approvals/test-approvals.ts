/** Approvals over a database in memory with a clock that tests move, for the tests of this folder. */
import type { Clock } from '../base/clock.ts';
import { silentLogger } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { Caller } from '../identity/caller.ts';
import type { ApprovalEntry, NotifyTarget } from '../policy/governance.ts';
import { DEFAULT_APPROVAL } from '../policy/read-guardrails.ts';
import type { ApprovalStore } from '../store/approval-shapes.ts';
import * as sql from '../store/sqlite/approvals.ts';
import { Database } from '../store/sqlite/database.ts';
import { migrate } from '../store/sqlite/migrate.ts';
import type { ApprovalQuestion, Approver } from './approval.ts';
import { type Approvals, createApprovals } from './approvals.ts';
import type { ApprovalEvents } from './events.ts';
import type { Notice } from './notify/notice.ts';
import type { ApprovalOptions, Timers } from './ports.ts';

/** 2026-01-05T12:00:00Z. */
export const NOON = Date.UTC(2026, 0, 5, 12);

/** Time that moves when told, with the timers that it sets off. */
export interface TestTime {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Moves both clocks and runs what is due, in order. */
  advance(ms: number): void;
  /** Moves the wall clock only, as an operator or NTP would. */
  jump(ms: number): void;
}

export function testTime(): TestTime {
  let wall = NOON;
  let monotonic = 0;
  const timers = new Set<{ at: number; periodMs: number | null; run: () => void }>();
  const add = (delayMs: number, periodMs: number | null, run: () => void): (() => void) => {
    const timer = { at: monotonic + delayMs, periodMs, run };
    timers.add(timer);
    return () => timers.delete(timer);
  };
  return {
    clock: { now: () => wall, monotonicMs: () => monotonic },
    timers: {
      after: (delayMs, run) => add(delayMs, null, run),
      every: (periodMs, run) => add(periodMs, periodMs, run),
    },
    advance(ms) {
      const end = monotonic + ms;
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        wall += Math.max(0, next.at - monotonic);
        monotonic = Math.max(monotonic, next.at);
        if (next.periodMs === null) timers.delete(next);
        else next.at += next.periodMs;
        next.run();
      }
      wall += end - monotonic;
      monotonic = end;
    },
    jump(ms) {
      wall += ms;
    },
  };
}

/** Lets everything that was answered go on. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function testDatabase(): Database {
  const database = new Database(':memory:', 'writer');
  migrate(database, NOON);
  return database;
}

/** The real statements, in this thread. */
export function storeOver(database: Database): ApprovalStore {
  return {
    askApproval: async (row, ask) => sql.askApproval(database, row, ask),
    useApproval: async (use) => sql.useApproval(database, use),
    replaceApproval: async (row, expected) => sql.replaceApproval(database, row, expected),
    getApproval: async (tailnet, id) => sql.getApproval(database, tailnet, id),
    settledApprovals: async (tailnet, ids) => sql.settledApprovals(database, tailnet, ids),
    listApprovals: async (filter, page) => sql.listApprovals(database, filter, page),
    expireApprovals: async (tailnet, now) => sql.expireApprovals(database, tailnet, now),
    forgetApprovals: async (tailnet, before) => sql.forgetApprovals(database, tailnet, before),
  };
}

export type PostedNews = {
  readonly [Name in keyof ApprovalEvents]: { readonly name: Name; readonly event: ApprovalEvents[Name] };
}[keyof ApprovalEvents];

export interface TestWorld {
  readonly time: TestTime;
  readonly database: Database;
  readonly store: ApprovalStore;
  readonly events: PostedNews[];
  readonly notices: { readonly targets: readonly NotifyTarget[]; readonly notice: Notice }[];
  /** Principals that the approvers of an entry mean, besides those it lists. */
  readonly approvers: Set<string>;
  readonly entries: Map<string, ApprovalEntry>;
  readonly behind: Map<string, readonly string[]>;
  /** A process: opens on the same store. */
  open(more?: Partial<ApprovalOptions>): Approvals;
}

export function testWorld(): TestWorld {
  const time = testTime();
  const database = testDatabase();
  const store = storeOver(database);
  const events: PostedNews[] = [];
  const notices: TestWorld['notices'] = [];
  const approvers = new Set(['bob', 'carol', 'dave']);
  const entries = new Map<string, ApprovalEntry>();
  const behind = new Map<string, readonly string[]>();
  return {
    time,
    database,
    store,
    events,
    notices,
    approvers,
    entries,
    behind,
    open: (more = {}) =>
      createApprovals({
        store,
        clock: time.clock,
        timers: time.timers,
        random: systemRandom,
        logger: silentLogger,
        keys: { seal: new Uint8Array(32).fill(1), hash: new Uint8Array(32).fill(2) },
        notifier: {
          send: (targets, notice) => void notices.push({ targets, notice }),
          stats: () => ({ delivered: 0, failed: 0 }),
        },
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `publish` ties the event to its name.
        publish: (name, event) => void events.push({ name, event } as PostedNews),
        mayApprove: (list, { principal }) =>
          list.length === 0 ? approvers.has(principal) : list.includes(principal),
        entryOf: (name) => entries.get(name) ?? null,
        peopleBehind: (tokenId) => behind.get(tokenId) ?? [],
        linkFor: (id) => `http://localhost:8080/#approval=${id}`,
        ...more,
      }),
  };
}

export function entry(more: Partial<ApprovalEntry> = {}): ApprovalEntry {
  return { ...DEFAULT_APPROVAL, ...more };
}

export interface QuestionParts extends Partial<Omit<ApprovalQuestion, 'requester' | 'context'>> {
  readonly requester?: Partial<ApprovalQuestion['requester']>;
  readonly context?: Partial<ApprovalQuestion['context']>;
}

/** Alice's agent wants to run `Bash`. */
export function question(more: QuestionParts = {}): ApprovalQuestion {
  const { requester, context, ...rest } = more;
  return {
    tailnet: 'home',
    subject: { kind: 'tool', tool: 'Bash' },
    argumentsText: '{"command":"rm -rf build"}',
    arguments: { command: 'rm -rf build' },
    entry: entry(),
    rule: 'tools[0]',
    mode: 'hold',
    ...rest,
    requester: {
      principal: 'alice',
      label: 'alice@example.com',
      deviceId: 'dev_a',
      tokenId: null,
      agent: 'claude-code',
      sessionId: 's1',
      ...requester,
    },
    context: {
      requestId: 'req_1',
      provider: 'anthropic',
      model: 'claude',
      excerpt: 'clean the build folder',
      excerptWithheld: null,
      note: null,
      ...context,
    },
  };
}

export function approver(principal: string, more: Partial<Caller> & { how?: string } = {}): Approver {
  const { how = 'passkey', ...rest } = more;
  const caller: Caller = {
    principal,
    tailnet: 'home',
    door: 'tailscaled',
    via: null,
    device: {
      stableId: `dev_of_${principal}`,
      name: principal,
      addresses: [],
      tags: [],
      shared: false,
    },
    user: { id: principal, login: `${principal}@example.com`, displayName: null },
    groups: [],
    capabilities: new Map(),
    token: null,
    ...rest,
  };
  return {
    tailnet: caller.tailnet,
    principal,
    label: caller.user?.login ?? principal,
    caller,
    how,
  };
}

export const ONCE = { verdict: 'approve', scope: 'once', reason: null } as const;
export const DENY = { verdict: 'deny', reason: 'not on a Friday' } as const;
