/** A node key that is connected to the relay, with all its connections. */
import type { NodeKeyHex } from './ports.ts';
import type { RelaySession } from './relay-session.ts';
import type { QueueBudget } from './send-queue.ts';

/** Keys remembered as having been given packets of one key, and the other way round. */
const HEARERS_MAX = 4096;

export class RelayKey {
  readonly hex: NodeKeyHex;
  readonly bytes: Buffer;
  /** Changed only by the hub. */
  tailnets: readonly string[];
  /** The tailnet whose share of the memory holds what waits for it: its first at the login. */
  readonly payer: string;
  readonly budget: QueueBudget;
  /** In the order of their logins. */
  readonly sessions: RelaySession[] = [];
  /** The connection that packets for the key go to: the last that logged in or sent any. */
  active: RelaySession | null = null;
  /** Times that `active` went to a connection that had it before. */
  returns = 0;
  /** Where its last packet went, and under which state of the tailnets that was allowed. */
  routeTo: RelayKey | null = null;
  routeEpoch = -1;
  /** Who has received packets of this key, and will be told when it leaves. */
  readonly #hearers = new Set<RelayKey>();
  readonly #heard = new Set<RelayKey>();
  #lastHeard: RelayKey | null = null;

  constructor(
    bytes: Buffer,
    tailnets: readonly string[],
    { payer, budget }: { readonly payer: string; readonly budget: QueueBudget },
  ) {
    this.bytes = Buffer.from(bytes);
    this.hex = bytes.toString('hex');
    this.tailnets = tailnets;
    this.payer = payer;
    this.budget = budget;
  }

  sharesTailnetWith(other: RelayKey): boolean {
    return this.tailnets.some((tailnet) => other.tailnets.includes(tailnet));
  }

  /** This key was given packets of `from`. */
  noteHeard(from: RelayKey): void {
    if (from === this.#lastHeard) return;
    this.#lastHeard = from;
    if (this.#heard.size >= HEARERS_MAX || from.#hearers.size >= HEARERS_MAX) return;
    this.#heard.add(from);
    from.#hearers.add(this);
  }

  /** Forgets everyone; gives those who have received packets of this key. */
  takeHearers(): RelayKey[] {
    const hearers = [...this.#hearers];
    for (const hearer of hearers) {
      hearer.#heard.delete(this);
      if (hearer.#lastHeard === this) hearer.#lastHeard = null;
    }
    for (const from of this.#heard) from.#hearers.delete(this);
    this.#hearers.clear();
    this.#heard.clear();
    this.#lastHeard = null;
    return hearers;
  }
}
