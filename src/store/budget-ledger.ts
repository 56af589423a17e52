/**
 * The arithmetic of a bucket's durable balance, pure, so that every adapter does the same sums in
 * its own transaction. Refills are exact (integers with a remainder); nothing here makes a balance
 * exceed the capacity less what processes hold.
 */
import { assert } from '../base/errors.ts';
import type { UnixMs } from '../base/clock.ts';
import {
  BUDGET_AMOUNT_MAX,
  type BudgetGrant,
  type BudgetLeaseRequest,
  type BudgetName,
  type BudgetRow,
  type BudgetTerms,
} from './budget-shapes.ts';

/** A lease is believed so long after its process was last heard of: for slots of a dead process, and for the room that leases take. */
export const LEASE_BELIEVED_MS = 45_000;

/**
 * A grant beyond the need is at most this part of the capacity: what a crash may lose of a bucket
 * for each process.
 */
const SLICE_OF_CAPACITY = 32;
/** … and this part of what is left: small near the limit, so that replicas do not starve each other. */
const SLICE_OF_BALANCE = 8;

/** What processes hold of a bucket, by reports that are still believed. */
export interface Holdings {
  readonly mine: number;
  readonly others: number;
}

/** What one request does to its bucket. */
export interface LedgerEntry {
  readonly row: BudgetRow;
  readonly grant: BudgetGrant;
  /** What the process holds now. */
  readonly holding: number;
  /** The leases of all other processes are void and to be forgotten. */
  readonly voidsOthers: boolean;
}

/** The whole of one request: the row brought to now, the process's report, its grant. */
export function enter(
  known: BudgetRow | null,
  request: BudgetLeaseRequest,
  holdings: Holdings,
  now: UnixMs,
): LedgerEntry {
  const others = holdings.others;
  // Nobody gives back more than the store knows that it held.
  const give = Math.min(request.give, Math.max(0, holdings.mine - request.holding));
  const stepped = advance(known, request, others + request.holding + give, now);
  const voidsOthers = stepped.epoch !== known?.epoch;
  const isCurrent = request.epoch === stepped.epoch;
  const othersHold = voidsOthers ? 0 : others;
  const holding = isCurrent ? request.holding : 0;
  const row =
    request.unit === 'concurrency'
      ? { ...stepped, balance: stepped.capacity - othersHold - holding }
      : report(stepped, { give: isCurrent ? give : 0, debit: request.debit, held: othersHold + holding });
  const granted = grantOf(row.balance, row.capacity, request);
  const balance = row.balance - granted;
  return {
    row: { ...row, balance, updatedAt: now },
    grant: { granted, balance, othersHold, epoch: row.epoch },
    holding: holding + granted,
    voidsOthers,
  };
}

/**
 * The row as it is at `now` under the terms of now: made full if it is new, refilled by the old
 * rate, clipped to a lowered capacity for good, filled anew when a calendar window began. A window
 * never goes back, and each is filled once, whatever the wall clock does; a debt outlives it.
 */
export function advance(
  row: BudgetRow | null,
  ask: BudgetName & BudgetTerms,
  held: number,
  now: UnixMs,
): BudgetRow {
  if (row === null || row.unit !== ask.unit) return fresh(ask, now);
  const refilled = refill(row, held, now);
  const { balance } = refilled;
  const terms = {
    capacity: ask.capacity,
    rateAmount: ask.rateAmount,
    ratePeriodMs: ask.ratePeriodMs,
    // A remainder counts in parts of its own period.
    remainder: ask.ratePeriodMs === row.ratePeriodMs ? refilled.remainder : 0,
  };
  if (ask.windowStart !== null && row.windowStart !== null && ask.windowStart > row.windowStart) {
    return {
      ...refilled,
      ...terms,
      balance: clipAmount(ask.capacity + Math.min(0, balance)),
      windowStart: ask.windowStart,
      epoch: Math.max(row.epoch + 1, now),
    };
  }
  return {
    ...refilled,
    ...terms,
    windowStart: ask.windowStart === null ? null : (row.windowStart ?? ask.windowStart),
    balance: rescale(row, ask, balance, held),
  };
}

/** Adds what the rate gave since the row was last refilled. Time that ran back gives nothing. */
export function refill(row: BudgetRow, held: number, now: UnixMs): BudgetRow {
  const { rateAmount, ratePeriodMs } = row;
  const elapsed = Math.floor(now - row.refilledAt);
  if (elapsed <= 0) return row;
  if (rateAmount === null || ratePeriodMs === null || ratePeriodMs <= 0)
    return { ...row, refilledAt: now, remainder: 0 };
  const total = BigInt(rateAmount) * BigInt(elapsed) + BigInt(row.remainder);
  const gained = total / BigInt(ratePeriodMs);
  // What was held or paid in above the room before stays; a refill only fills what room there is.
  const room = Math.max(row.balance, row.capacity - held);
  const balance = BigInt(row.balance) + gained;
  const isFull = balance >= BigInt(room);
  return {
    ...row,
    balance: isFull ? room : Number(balance),
    remainder: isFull ? 0 : Number(total % BigInt(ratePeriodMs)),
    refilledAt: row.refilledAt + elapsed,
  };
}

/** Takes into the balance what a process gives back, and what it owes. */
function report(
  row: BudgetRow,
  { give, debit, held }: { readonly give: number; readonly debit: number; readonly held: number },
): BudgetRow {
  const room = Math.max(row.balance, row.capacity - held);
  return { ...row, balance: clipAmount(Math.min(row.balance + give, room) - debit) };
}

/** How much of a balance a process gets: the want, or a slice if that is more; nothing if the need is not there. */
function grantOf(balance: number, capacity: number, ask: Pick<BudgetLeaseRequest, 'need' | 'want'>): number {
  if (ask.want <= 0 || balance <= 0 || balance < ask.need) return 0;
  const slice = Math.floor(Math.min(capacity / SLICE_OF_CAPACITY, balance / SLICE_OF_BALANCE));
  return Math.min(balance, Math.max(ask.want, ask.need, slice));
}

/** What an amount from outside may be: a whole number from 0 to the largest that is kept. */
export function isBudgetAmount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= BUDGET_AMOUNT_MAX;
}

function fresh(ask: BudgetName & BudgetTerms, now: UnixMs): BudgetRow {
  assert(isBudgetAmount(ask.capacity), 'a capacity is a whole amount');
  return {
    tailnet: ask.tailnet,
    quota: ask.quota,
    bucket: ask.bucket,
    unit: ask.unit,
    capacity: ask.capacity,
    rateAmount: ask.rateAmount,
    ratePeriodMs: ask.ratePeriodMs,
    windowStart: ask.windowStart,
    epoch: now,
    balance: ask.capacity,
    refilledAt: now,
    remainder: 0,
    updatedAt: now,
  };
}

/**
 * A changed capacity. Without windows a lower one clips for good and a higher one only makes room
 * (Aperture's rule); within a calendar window what was spent stays spent, so the balance moves
 * with the capacity both ways.
 */
function rescale(row: BudgetRow, ask: BudgetTerms, balance: number, held: number): number {
  if (ask.windowStart !== null && row.windowStart !== null)
    return clipAmount(balance + ask.capacity - row.capacity);
  return ask.capacity < row.capacity ? Math.min(balance, Math.max(0, ask.capacity - held)) : balance;
}

function clipAmount(balance: number): number {
  return Math.max(-BUDGET_AMOUNT_MAX, Math.min(BUDGET_AMOUNT_MAX, balance));
}
