/**
 * Calls that wait in this process. What another process decided is found by asking the store once a
 * second, and only while something waits. A deadline runs on a clock that does not jump.
 */
import { describeError } from '../base/errors.ts';
import type { JsonValue } from '../wire/hujson.ts';
import type { ApprovalRow } from '../store/approval-shapes.ts';
import type { ApprovalDecision, RefusalWhy } from './approval.ts';
import type { ApprovalOptions } from './ports.ts';

/** 1 s: what another process decided is known here by then. */
const LOOK_MS = 1_000;
/** Ids that the store takes in one call. */
const IDS_MAX = 1_000;

export interface WaitingCall {
  readonly id: string;
  readonly tailnet: string;
  readonly principal: string;
  readonly sessionId: string | null;
  readonly holdMs: number;
}

export interface WaitingCallsOptions extends Pick<ApprovalOptions, 'store' | 'clock' | 'timers' | 'logger'> {
  /** Opens what an approver put in place of the arguments; may throw. */
  readonly editOf: (row: ApprovalRow) => JsonValue | undefined;
  /** The last call that waited for this approval gave up: at its deadline, or as its stream ended. */
  readonly onAbandoned: (call: WaitingCall, why: 'deadline' | 'cancelled') => void;
  readonly onEnd: (decision: ApprovalDecision) => void;
}

interface Waiter {
  readonly call: WaitingCall;
  readonly finish: (decision: ApprovalDecision) => void;
}

export class WaitingCalls {
  readonly #options: WaitingCallsOptions;
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #byPrincipal = new Map<string, number>();
  /** Ids whose waits are being ended; each call's use is taken once. */
  readonly #settling = new Set<string>();
  #count = 0;
  #stopLooking: (() => void) | null = null;
  #looking = false;

  constructor(options: WaitingCallsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether a call waits for this approval. */
  has(id: string): boolean {
    return this.#waiters.has(id);
  }

  countOf(principal: string): number {
    return this.#byPrincipal.get(principal) ?? 0;
  }

  /** Waits until `settle`, the deadline, or `cancel`. The promise never rejects. */
  add(call: WaitingCall): { readonly decision: Promise<ApprovalDecision>; cancel(): void } {
    let give: (decision: ApprovalDecision) => void;
    const decision = new Promise<ApprovalDecision>((resolve) => {
      give = resolve;
    });
    let ended = false;
    const end = (outcome: ApprovalDecision): void => {
      if (ended) return;
      ended = true;
      stopTimer();
      this.#remove(waiter);
      this.#options.onEnd(outcome);
      give(outcome);
    };
    const waiter: Waiter = { call, finish: end };
    const giveUp = (why: 'deadline' | 'cancelled'): void => {
      if (ended) return;
      end(refusal(call.id, why, null));
      if (!this.#waiters.has(call.id)) this.#options.onAbandoned(call, why);
    };
    const stopTimer = this.#options.timers.after(call.holdMs, () => giveUp('deadline'));
    this.#insert(waiter);
    return { decision, cancel: () => giveUp('cancelled') };
  }

  /**
   * Ends the waits for a row that is no longer pending. Each caller takes its use from the store: of
   * several who wait for one single use, one gets it.
   */
  async settle(row: ApprovalRow): Promise<void> {
    if (this.#settling.has(row.id)) return;
    this.#settling.add(row.id);
    try {
      const waiters = [...(this.#waiters.get(row.id) ?? [])];
      for (const { call, finish } of waiters) finish(await this.#outcome(row, call));
    } finally {
      this.#settling.delete(row.id);
    }
  }

  /** Ends every wait with a denial, as the process stops. */
  close(): void {
    for (const waiters of this.#waiters.values())
      for (const { call, finish } of waiters) finish(refusal(call.id, 'unavailable', null));
  }

  async #outcome(row: ApprovalRow, call: WaitingCall): Promise<ApprovalDecision> {
    if (row.state !== 'approved' && row.state !== 'used') return refusal(row.id, whyOf(row), row.reason);
    try {
      const { store, clock, editOf } = this.#options;
      const used = await store.useApproval({
        tailnet: call.tailnet,
        id: call.id,
        sessionId: call.sessionId,
        now: clock.now(),
      });
      return used === null
        ? refusal(row.id, 'used', null)
        : { state: 'approved', approvalId: row.id, edited: editOf(used) };
    } catch (error) {
      this.#options.logger.error('an approved call was not let through', {
        approval: row.id,
        error: describeError(error),
      });
      return refusal(row.id, 'unavailable', null);
    }
  }

  #insert(waiter: Waiter): void {
    const { id, principal } = waiter.call;
    const known = this.#waiters.get(id);
    if (known === undefined) this.#waiters.set(id, new Set([waiter]));
    else known.add(waiter);
    this.#byPrincipal.set(principal, this.countOf(principal) + 1);
    this.#count += 1;
    this.#stopLooking ??= this.#options.timers.every(LOOK_MS, () => void this.#look());
  }

  #remove(waiter: Waiter): void {
    const { id, principal } = waiter.call;
    const waiters = this.#waiters.get(id);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiters.delete(id);
    const left = this.countOf(principal) - 1;
    if (left > 0) this.#byPrincipal.set(principal, left);
    else this.#byPrincipal.delete(principal);
    this.#count -= 1;
    if (this.#count > 0) return;
    this.#stopLooking?.();
    this.#stopLooking = null;
  }

  async #look(): Promise<void> {
    // A slow store is not asked again before it answered.
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const [tailnet, ids] of this.#idsByTailnet()) {
        for (const { id, row } of await this.#options.store.settledApprovals(tailnet, ids)) {
          if (row !== null) await this.settle(row);
          else this.#vanished(id);
        }
      }
    } catch (error) {
      this.#options.logger.warn('held calls could not be looked up', { error: describeError(error) });
    } finally {
      this.#looking = false;
    }
  }

  #idsByTailnet(): Map<string, string[]> {
    const ids = new Map<string, string[]>();
    for (const [id, waiters] of this.#waiters) {
      const [first] = waiters;
      if (first === undefined) continue;
      const known = ids.get(first.call.tailnet);
      if (known === undefined) ids.set(first.call.tailnet, [id]);
      else if (known.length < IDS_MAX) known.push(id);
    }
    return ids;
  }

  #vanished(id: string): void {
    for (const { call, finish } of this.#waiters.get(id) ?? []) finish(refusal(call.id, 'unavailable', null));
  }
}

function whyOf({ state }: ApprovalRow): RefusalWhy {
  if (state === 'denied') return 'denied';
  return state === 'expired' ? 'deadline' : 'withdrawn';
}

function refusal(approvalId: string, why: RefusalWhy, reason: string | null): ApprovalDecision {
  return { state: 'denied', approvalId, why, reason };
}
