/**
 * Attempts that were given up although the provider may have worked on them (no first byte in time, a
 * connection that broke after the request was sent): each is charged for its input by estimate, like the last
 * attempt of a request that failed so (docs/design/0006-deciding.md, point 10).
 */
import type { Usage } from '../../llm/index.ts';
import type { Budget } from '../steps/reserve.ts';
import type { Settlement } from '../steps/settle.ts';

/** Those of one request; made only once there is one. */
export class ChargedAttempts {
  /** Of all of them: for the row. */
  #all: Settlement | null = null;
  /** Of those under the reservation that still holds. */
  #open: Settlement | null = null;

  add(charge: Settlement): void {
    this.#all = sum(this.#all, charge);
    this.#open = sum(this.#open, charge);
  }

  /** The request goes to another target, under a reservation of its own. */
  leave(budget: Budget | null): void {
    if (this.#open === null) budget?.reservation.release();
    else if (budget !== null) debit(budget, this.#open);
    this.#open = null;
  }

  /** Beside the attempt that answered; true where the reservation has ended with it. */
  settle(budget: Budget, last: Settlement | null, wasSent: boolean): boolean {
    if (this.#open === null) return false;
    debit(budget, wasSent && last !== null ? sum(last, this.#open) : this.#open);
    return true;
  }

  /** What the request cost with them. */
  inAll(last: Settlement | null): Settlement | null {
    return this.#all === null ? last : sum(last, this.#all);
  }
}

function debit({ reservation }: Budget, { usage, costNanoUsd, estimated }: Settlement): void {
  reservation.settle({
    inputTokens: usage?.inputTokens ?? 0,
    outputTokens: usage?.outputTokens ?? 0,
    costNanoUsd,
    estimated,
  });
}

/** A part without a price leaves the whole without one: what is known would be taken for all. */
function sum(one: Settlement | null, charge: Settlement): Settlement {
  if (one === null) return charge;
  const isUnpriced = one.costNanoUsd === null || charge.costNanoUsd === null;
  return {
    usage: sumUsage(one.usage, charge.usage),
    estimated: true,
    costNanoUsd: isUnpriced ? null : (one.costNanoUsd ?? 0) + (charge.costNanoUsd ?? 0),
    costState: isUnpriced ? 'unpriced' : charge.costState === 'priced' ? 'priced' : one.costState,
    savedNanoUsd: one.savedNanoUsd,
  };
}

/** A charge has input and output alone. */
function sumUsage(one: Usage | null, charge: Usage | null): Usage | null {
  if (one === null || charge === null) return one ?? charge;
  return {
    ...one,
    inputTokens: (one.inputTokens ?? 0) + (charge.inputTokens ?? 0),
    outputTokens: (one.outputTokens ?? 0) + (charge.outputTokens ?? 0),
  };
}
