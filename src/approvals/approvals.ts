/**
 * Approvals: a machine with stored state (docs/design/0006-deciding.md). Whoever is about to do
 * something that policy says `ask` for asks here; a person decides; what was approved is used once,
 * in a session, or for a time, by the same caller with the same arguments.
 *
 * The store is the one truth: using an approval is a conditional change in one transaction of it, so
 * that crashes and further processes run nothing twice. Waiting is local. A process that dies leaves
 * its questions pending; they can still be decided, for a later retry.
 */
import { assert, describeError } from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import { canonicalJson } from '../crypto/index.ts';
import type { JsonValue } from '../wire/hujson.ts';
import type { ApprovalRow, AskedApproval } from '../store/approval-shapes.ts';
import type { Page, PageRequest } from '../store/shapes.ts';
import type {
  ApprovalAnswer,
  ApprovalContent,
  ApprovalListFilter,
  ApprovalQuestion,
  ApprovalRecord,
  ApprovalRequester,
  ApprovalStats,
  Approver,
  RequestAnswer,
  Verdict,
} from './approval.ts';
import { bindingOf } from './binding.ts';
import { ApprovalCounters } from './counters.ts';
import { applyVote, type DecidableBy, mayDecide } from './deciding.ts';
import { approvalError } from './errors.ts';
import { newApprovalRow } from './new-row.ts';
import { decidedNotice, requestedNotice } from './notify/notice.ts';
import type { ApprovalLimits, ApprovalOptions } from './ports.ts';
import { previewOf } from './preview.ts';
import { ContentSealer } from './sealed-content.ts';
import { newsOf, recordOf, type ViewParts } from './views.ts';
import { type WaitingCall, WaitingCalls } from './waiting-calls.ts';

export interface Approvals {
  /**
   * Whether something may run. Using an approval that stands is on disk before this resolves.
   * Rejects only if the store does (`store_…`): nothing may run then.
   */
  ask(question: ApprovalQuestion): Promise<ApprovalAnswer>;
  /** Opens a question, or joins the same one, and uses nothing: somebody asks for a model or more budget. */
  request(question: ApprovalQuestion): Promise<RequestAnswer>;
  /** Uses an approval that stands for this question, and opens none; null if there is none. */
  use(
    question: ApprovalQuestion,
  ): Promise<{ readonly approvalId: string; readonly edited: JsonValue | undefined } | null>;
  /** Uses an approval by its id, for what is done once it is granted (a budget's refill); false if it is used, or not approved. */
  useById(tailnet: string, id: string): Promise<boolean>;
  /** A vote. Presence was checked. Rejects with `AppError<ApprovalErrorCode>`, or as the store does. */
  decide(id: string, approver: Approver, verdict: Verdict): Promise<ApprovalRecord>;
  /** Takes a question or an unused approval back; null if there is none that could be. The caller has checked who asks. */
  withdrawOne(tailnet: string, id: string, reason: string): Promise<ApprovalRecord | null>;
  /** Takes back all that matching requesters asked, pending or approved: their rights ended. How many. */
  withdraw(
    tailnet: string,
    matches: (requester: ApprovalRequester) => boolean,
    reason: string,
  ): Promise<number>;
  get(tailnet: string, id: string): Promise<ApprovalRecord | null>;
  /** What the call holds. Null where it is forgotten, or there is no such approval. */
  content(tailnet: string, id: string): Promise<ApprovalContent | null>;
  /** Newest first, those only that `shows` lets pass. A page may hold fewer than its limit and still not be the last. */
  list(
    filter: ApprovalListFilter,
    page: PageRequest,
    shows?: (record: ApprovalRecord) => boolean,
  ): Promise<Page<ApprovalRecord>>;
  /** Whether this caller is an approver of it and not its requester (or may approve themselves). */
  mayDecide(record: DecidableBy, approver: Approver): boolean;
  stats(): ApprovalStats;
  /** Begins to expire and forget what is due in this tailnet, too. */
  start(tailnet: string): void;
  /** Denies what waits and stops. */
  close(): void;
}

const DEFAULT_LIMITS: ApprovalLimits = {
  heldPerPrincipalMax: 16,
  heldMax: 512,
  pendingPerPrincipalMax: 100,
  pendingMax: 10_000,
  argumentsMaxBytes: 256 * 1024,
};
const DAY_MS = 86_400_000;
/** 30 s: a question that nobody decided is told as expired within half a minute. */
const SWEEP_MS = 30_000;
/** Votes at one time on one approval; each but one is tried again on what the others made of it. */
const TRIES_MAX = 8;
/** Rows read for one page of what an approver may see. */
const SCAN_MAX = 2_000;
const SCAN_PAGE = 500;

export function createApprovals(options: ApprovalOptions): Approvals {
  assert(
    options.keys.seal.byteLength === 32 && options.keys.hash.byteLength === 32,
    'keys of approvals have 32 bytes',
  );
  const machine = new StoredApprovals(options);
  // Functions by themselves, so that a port may be made of some of them.
  return {
    ask: (question) => machine.ask(question),
    request: (question) => machine.request(question),
    use: (question) => machine.use(question),
    useById: (tailnet, id) => machine.useById(tailnet, id),
    decide: (id, approver, verdict) => machine.decide(id, approver, verdict),
    withdrawOne: (tailnet, id, reason) => machine.withdrawOne(tailnet, id, reason),
    withdraw: (tailnet, matches, reason) => machine.withdraw(tailnet, matches, reason),
    get: (tailnet, id) => machine.get(tailnet, id),
    content: (tailnet, id) => machine.content(tailnet, id),
    list: (filter, page, shows) => machine.list(filter, page, shows),
    mayDecide: (record, approver) => machine.mayDecide(record, approver),
    stats: () => machine.stats(),
    start: (tailnet) => machine.start(tailnet),
    close: () => machine.close(),
  };
}

class StoredApprovals implements Approvals {
  readonly #options: ApprovalOptions;
  readonly #limits: ApprovalLimits;
  readonly #sealer: ContentSealer;
  readonly #views: ViewParts;
  readonly #waiting: WaitingCalls;
  readonly #counters = new ApprovalCounters();
  #stopSweeping: (() => void) | null = null;
  readonly #swept = new Set<string>();
  #closed = false;
  /** Calls between question and wait; they count as held already. */
  #entering = 0;
  readonly #enteringBy = new Map<string, number>();

  constructor(options: ApprovalOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#sealer = new ContentSealer(options.keys.seal);
    this.#views = { ...options, sealer: this.#sealer };
    this.#waiting = new WaitingCalls({
      ...options,
      editOf: (row) => this.#sealer.openEdit(row),
      onAbandoned: (call, why) => void this.#abandon(call, why),
      onEnd: (decision) => this.#counters.countDecision(decision),
    });
  }

  async ask(question: ApprovalQuestion): Promise<ApprovalAnswer> {
    this.#counters.asked += 1;
    const holds = question.mode === 'hold' && question.entry.hold && !this.#closed;
    if (this.#isTooLarge(question)) return this.#refuse('too_large');
    const { principal } = question.requester;
    if (!holds) return this.#answer(question, false);
    if (!this.#enter(principal)) {
      const standing = await this.use(question);
      return standing === null ? this.#refuse('too_many') : { state: 'approved', ...standing };
    }
    try {
      return await this.#answer(question, true);
    } finally {
      this.#leave(principal);
    }
  }

  async request(question: ApprovalQuestion): Promise<RequestAnswer> {
    this.#counters.asked += 1;
    if (this.#isTooLarge(question)) return this.#refuse('too_large');
    const asked = await this.#askStore(question, { holds: false, uses: false });
    if (asked.kind === 'too_many') return this.#refuse('too_many');
    return { state: asked.kind === 'stands' ? 'standing' : 'pending', id: asked.row.id };
  }

  async use(
    question: ApprovalQuestion,
  ): Promise<{ readonly approvalId: string; readonly edited: JsonValue | undefined } | null> {
    const row = await this.#options.store.useApproval({
      tailnet: question.tailnet,
      binding: this.#bindingOf(question),
      sessionId: question.requester.sessionId,
      now: this.#options.clock.now(),
    });
    if (row === null) return null;
    this.#counters.passed += 1;
    return { approvalId: row.id, edited: this.#sealer.openEdit(row) };
  }

  async useById(tailnet: string, id: string): Promise<boolean> {
    const now = this.#options.clock.now();
    return (await this.#options.store.useApproval({ tailnet, id, sessionId: null, now })) !== null;
  }

  async decide(id: string, approver: Approver, verdict: Verdict): Promise<ApprovalRecord> {
    const { store, clock } = this.#options;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const row = await store.getApproval(approver.tailnet, id);
      if (row === null) throw approvalError('approval_unknown', `there is no approval ${id}`);
      const next = applyVote(row, approver, verdict, {
        ...this.#options,
        sealEdit: (name, edited) => this.#sealEdit(name, edited),
        now: clock.now(),
      });
      if (!(await store.replaceApproval(next, row.revision))) continue;
      const given = next.state === 'approved' ? this.#options.beforeTold?.(next) : undefined;
      // Not a turn later where nothing is given: a call may wait for this very answer.
      if (given !== undefined) await given;
      this.#told(next, approver, next.votes.at(-1)?.reason ?? null);
      if (next.state !== 'pending') await this.#waiting.settle(next);
      return recordOf(this.#views, next);
    }
    throw approvalError('approval_conflict', `${id} is being decided by others; look at it again`);
  }

  async withdrawOne(tailnet: string, id: string, reason: string): Promise<ApprovalRecord | null> {
    const row = await this.#end(tailnet, id, 'withdrawn', reason);
    return row === null ? null : recordOf(this.#views, row);
  }

  async withdraw(
    tailnet: string,
    matches: (requester: ApprovalRequester) => boolean,
    reason: string,
  ): Promise<number> {
    const filter = { tailnet, states: ['pending', 'approved'] } as const;
    let withdrawn = 0;
    let cursor: string | null = null;
    do {
      const page: Page<ApprovalRow> = await this.#options.store.listApprovals(filter, {
        limit: SCAN_PAGE,
        ...(cursor === null ? {} : { cursor }),
      });
      for (const row of page.items) {
        if (!matches(row)) continue;
        if ((await this.#end(tailnet, row.id, 'withdrawn', reason)) !== null) withdrawn += 1;
      }
      cursor = page.nextCursor;
    } while (cursor !== null);
    return withdrawn;
  }

  async get(tailnet: string, id: string): Promise<ApprovalRecord | null> {
    const row = await this.#options.store.getApproval(tailnet, id);
    return row === null ? null : recordOf(this.#views, row);
  }

  async content(tailnet: string, id: string): Promise<ApprovalContent | null> {
    const row = await this.#options.store.getApproval(tailnet, id);
    return row === null ? null : this.#sealer.openContent(row);
  }

  async list(
    filter: ApprovalListFilter,
    page: PageRequest,
    shows: (record: ApprovalRecord) => boolean = () => true,
  ): Promise<Page<ApprovalRecord>> {
    const items: ApprovalRecord[] = [];
    let cursor = page.cursor;
    for (let read = 0; read < SCAN_MAX; read += page.limit) {
      const found: Page<ApprovalRow> = await this.#options.store.listApprovals(filter, {
        // Never more than there is room for, so that the cursor is right behind the last one shown.
        limit: page.limit - items.length,
        ...(cursor === undefined ? {} : { cursor }),
      });
      items.push(...found.items.map((row) => recordOf(this.#views, row)).filter(shows));
      if (found.nextCursor === null) return { items, nextCursor: null };
      cursor = found.nextCursor;
      if (items.length >= page.limit) break;
    }
    return { items, nextCursor: cursor ?? null };
  }

  mayDecide(record: DecidableBy, approver: Approver): boolean {
    return mayDecide(record, approver, this.#options);
  }

  stats(): ApprovalStats {
    const { delivered, failed } = this.#options.notifier?.stats() ?? { delivered: 0, failed: 0 };
    return this.#counters.stats({ waiting: this.#waiting.count, notified: delivered, notDelivered: failed });
  }

  start(tailnet: string): void {
    this.#swept.add(tailnet);
    this.#stopSweeping ??= this.#options.timers.every(SWEEP_MS, () => {
      for (const each of this.#swept) void this.#sweep(each);
    });
  }

  close(): void {
    this.#closed = true;
    this.#stopSweeping?.();
    this.#waiting.close();
  }

  async #answer(question: ApprovalQuestion, holds: boolean): Promise<ApprovalAnswer> {
    const asked = await this.#askStore(question, { holds, uses: true });
    if (asked.kind === 'too_many') return this.#refuse('too_many');
    const { id, tailnet, expiresAt } = asked.row;
    if (asked.kind === 'used') {
      this.#counters.passed += 1;
      return { state: 'approved', approvalId: id, edited: this.#sealer.openEdit(asked.row) };
    }
    // The process may have begun to stop while the store was asked: then nobody will end the wait.
    if (!holds || this.#closed) return { state: 'pending', id, expiresAt };
    const { principal, sessionId } = question.requester;
    const call = { id, tailnet, principal, sessionId, holdMs: question.entry.holdMs };
    return { state: 'waiting', id, ...this.#waiting.add(call) };
  }

  async #askStore(
    question: ApprovalQuestion,
    { holds, uses }: { readonly holds: boolean; readonly uses: boolean },
  ): Promise<AskedApproval> {
    const { pendingPerPrincipalMax, pendingMax } = this.#limits;
    const asked = await this.#options.store.askApproval(this.#newRow(question, holds), {
      uses,
      pendingPerPrincipalMax,
      pendingMax,
    });
    if (asked.kind === 'opened') {
      if (asked.lapsed !== null) this.#publishEnd(asked.lapsed);
      this.#options.publish('approval.requested', newsOf(this.#views, asked.row));
      this.#notify(question, asked.row);
    }
    return asked;
  }

  #newRow(question: ApprovalQuestion, holds: boolean): ApprovalRow {
    const { clock, random, redact = (text: string) => text } = this.#options;
    const name = { tailnet: question.tailnet, id: newId('apr', clock, random) };
    return newApprovalRow(question, {
      ...name,
      now: clock.now(),
      binding: this.#bindingOf(question),
      held: holds,
      sealedPreview: this.#sealer.sealPreview(name, previewOf(question, redact)),
      sealedContent: this.#sealer.sealQuestion(name, question),
    });
  }

  #sealEdit(row: ApprovalRow, edited: JsonValue): Uint8Array {
    const { argumentsMaxBytes } = this.#limits;
    let bytes: number;
    try {
      bytes = Buffer.byteLength(canonicalJson(edited));
    } catch {
      throw approvalError('approval_invalid', 'the edited arguments are nested too deeply');
    }
    if (bytes > argumentsMaxBytes)
      throw approvalError(
        'approval_invalid',
        `the edited arguments have ${bytes} bytes, at most ${argumentsMaxBytes} are kept`,
      );
    return this.#sealer.sealEdit(row, edited);
  }

  #bindingOf(question: ApprovalQuestion): string {
    return bindingOf(this.#options.keys.hash, question);
  }

  /** A whole request is hashed whole and kept in part; everything else is judged word by word. */
  #isTooLarge({ subject, argumentsText }: ApprovalQuestion): boolean {
    return subject.kind !== 'request' && Buffer.byteLength(argumentsText) > this.#limits.argumentsMaxBytes;
  }

  #refuse(why: 'too_many' | 'too_large'): Extract<RequestAnswer, { state: 'refused' }> {
    this.#counters.refused += 1;
    return { state: 'refused', why };
  }

  #enter(principal: string): boolean {
    const { heldMax, heldPerPrincipalMax } = this.#limits;
    const own = this.#waiting.countOf(principal) + (this.#enteringBy.get(principal) ?? 0);
    if (this.#waiting.count + this.#entering >= heldMax || own >= heldPerPrincipalMax) return false;
    this.#entering += 1;
    this.#enteringBy.set(principal, (this.#enteringBy.get(principal) ?? 0) + 1);
    return true;
  }

  #leave(principal: string): void {
    this.#entering -= 1;
    const left = (this.#enteringBy.get(principal) ?? 1) - 1;
    if (left > 0) this.#enteringBy.set(principal, left);
    else this.#enteringBy.delete(principal);
  }

  /** A held question whose last stream gave up: it ends with it, unless it was asked without waiting. */
  async #abandon(call: WaitingCall, why: 'deadline' | 'cancelled'): Promise<void> {
    try {
      const row = await this.#options.store.getApproval(call.tailnet, call.id);
      if (row === null || !row.held || row.state !== 'pending') return;
      // The client may have come back meanwhile and wait for the same answer.
      if (this.#waiting.has(call.id) || this.#enteringBy.has(call.principal)) return;
      if (why === 'deadline')
        await this.#end(call.tailnet, call.id, 'expired', 'nobody decided while the call was held');
      else await this.#end(call.tailnet, call.id, 'withdrawn', 'the stream that waited for it ended');
    } catch (error) {
      this.#options.logger.warn('an approval that nobody waits for stays pending', {
        approval: call.id,
        error: describeError(error),
      });
    }
  }

  /** Ends what is pending, or approved and not used. */
  async #end(
    tailnet: string,
    id: string,
    state: 'expired' | 'withdrawn',
    reason: string,
  ): Promise<ApprovalRow | null> {
    const { store, clock } = this.#options;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const row = await store.getApproval(tailnet, id);
      const mayEnd = row?.state === 'pending' || (row?.state === 'approved' && state === 'withdrawn');
      if (row === null || !mayEnd) return null;
      const ended: ApprovalRow = {
        ...row,
        state,
        reason,
        decidedAt: clock.now(),
        revision: row.revision + 1,
      };
      if (!(await store.replaceApproval(ended, row.revision))) continue;
      this.#publishEnd(ended);
      await this.#waiting.settle(ended);
      return ended;
    }
    return null;
  }

  async #sweep(tailnet: string): Promise<void> {
    const { store, clock, contentKeptMs = 30 * DAY_MS, rowsKeptMs = 400 * DAY_MS } = this.#options;
    try {
      const now = clock.now();
      for (const row of await store.expireApprovals(tailnet, now)) {
        this.#publishEnd(row);
        await this.#waiting.settle(row);
      }
      await store.forgetApprovals(tailnet, {
        contentBefore: now - contentKeptMs,
        rowsBefore: now - rowsKeptMs,
      });
    } catch (error) {
      this.#options.logger.warn('approvals could not be swept', { error: describeError(error) });
    }
  }

  #told(row: ApprovalRow, approver: Approver, reason: string | null): void {
    const news = newsOf(this.#views, row);
    this.#options.publish('approval.decided', { ...news, by: approver.label, reason });
    if (row.state === 'pending') return;
    const targets = this.#options.entryOf(row.entry)?.notify ?? [];
    const programs = targets.filter(({ kind }) => kind === 'webhook');
    if (programs.length === 0) return;
    this.#options.notifier?.send(
      programs,
      decidedNotice(news, approver.label, this.#options.linkFor(row.id)),
    );
  }

  #publishEnd(row: ApprovalRow): void {
    if (row.state === 'expired') this.#counters.expired += 1;
    this.#options.publish('approval.expired', newsOf(this.#views, row));
  }

  #notify({ entry }: ApprovalQuestion, row: ApprovalRow): void {
    if (entry.notify.length === 0) return;
    this.#options.notifier?.send(
      entry.notify,
      requestedNotice(newsOf(this.#views, row), this.#options.linkFor(row.id)),
    );
  }
}
