/**
 * The relay without its sockets: who is connected, and which client gets a packet. Packets go from one
 * key to another only where both share a tailnet; whoever does not is as one who is not connected.
 */
import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import { DERP_KEY_BYTES } from '../../../wire/derp.ts';
import { encodeDerpHealth, encodeDerpPeerGone, encodeDerpRestarting } from '../../../wire/derp-relay.ts';
import type { NodeKeyHex, RelayAdmission, RelayPipe } from './ports.ts';
import { createRelayCounters, type RelayCounters } from './relay-counters.ts';
import { RelayKey } from './relay-key.ts';
import type { RelayLimits, RelayRate } from './relay-limits.ts';
import { type Entered, RelaySession, type SessionEnd, type SessionHost } from './relay-session.ts';
import { QueueBudget, SendQueue } from './send-queue.ts';

/** Of one key: connections that take packets from each other, as clones of a device do. */
const FIGHT_RETURNS = 3;
const FIGHT_TEXT =
  'another device is connected with the same node key, so packets reach one or the other: log out and in again on one of them';
/** How long clients go on trying after a restart. */
const RECONNECT_TRY_MS = 60_000;

interface TailnetBudget {
  readonly budget: QueueBudget;
  keys: number;
}

export interface RelayHubOptions {
  readonly admission: RelayAdmission;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: RelayLimits;
  /** Null: none. */
  readonly rate: RelayRate | null;
}

export class RelayHub implements SessionHost {
  readonly random: Random;
  readonly limits: RelayLimits;
  readonly rate: RelayRate | null;
  readonly counters: RelayCounters = createRelayCounters();
  readonly #admission: RelayAdmission;
  readonly #clock: Clock;
  /** By the key's bytes as latin-1. */
  readonly #keys = new Map<string, RelayKey>();
  readonly #sessions = new Set<RelaySession>();
  readonly #loggingIn = new Set<RelaySession>();
  readonly #loggingInBySource = new Map<string, number>();
  readonly #total: QueueBudget;
  /** By tailnet, for those that have a key here. */
  readonly #budgets = new Map<string, TailnetBudget>();
  /** Changes whenever a key's tailnets do. */
  #epoch = 0;

  constructor({ admission, clock, random, limits, rate }: RelayHubOptions) {
    this.#admission = admission;
    this.#clock = clock;
    this.random = random;
    this.limits = limits;
    this.rate = rate;
    this.#total = new QueueBudget(limits.totalQueueMaxBytes, null);
  }

  get isEmpty(): boolean {
    return this.#sessions.size === 0 && this.#loggingIn.size === 0;
  }

  /** A connection of a stranger; null if there are too many. `source`: see `RelaySession.source`. */
  accept(pipe: RelayPipe, source: string): RelaySession | null {
    const { limits } = this;
    const ofSource = this.#loggingInBySource.get(source) ?? 0;
    if (this.#loggingIn.size >= limits.loggingInMax || ofSource >= limits.loggingInPerSourceMax) {
      this.counters.refusedFull += 1;
      return null;
    }
    const session = new RelaySession(this, pipe, { source, nowMs: this.#clock.monotonicMs() });
    this.#loggingIn.add(session);
    this.#loggingInBySource.set(source, ofSource + 1);
    return session;
  }

  enter(session: RelaySession, bytes: Buffer): Entered | 'refusedStrangers' | 'refusedFull' {
    const name = bytes.toString('latin1', 0, DERP_KEY_BYTES);
    const member = this.#admission.admit(bytes.toString('hex'));
    if (member === null || member.tailnets.length === 0) return 'refusedStrangers';
    if (this.#sessions.size >= this.limits.clientsMax) return 'refusedFull';
    let key = this.#keys.get(name);
    if (key === undefined) {
      const payer = member.tailnets[0] ?? '';
      key = new RelayKey(bytes, member.tailnets, { payer, budget: this.#budgetOf(payer) });
      this.#keys.set(name, key);
    } else this.#setTailnets(key, member.tailnets);
    this.#forgetLogin(session);
    this.#sessions.add(session);
    key.sessions.push(session);
    key.active = session;
    this.counters.logins += 1;
    if (key.sessions.length > this.limits.clientsPerKeyMax) key.sessions[0]?.end('cutReplaced');
    return { key, queue: new SendQueue(this.limits.clientQueueMaxBytes, key.budget) };
  }

  route(from: RelayKey, bytes: Buffer, keyAt: number): RelaySession | null {
    const last = from.routeTo;
    if (last !== null && last.active !== null && from.routeEpoch === this.#epoch) {
      if (bytes.compare(last.bytes, 0, DERP_KEY_BYTES, keyAt, keyAt + DERP_KEY_BYTES) === 0)
        return last.active;
    }
    const to = this.#keys.get(bytes.toString('latin1', keyAt, keyAt + DERP_KEY_BYTES));
    if (to === undefined) {
      this.counters.droppedNotHere += 1;
      return null;
    }
    if (!from.sharesTailnetWith(to)) {
      this.counters.droppedForeign += 1;
      return null;
    }
    from.routeTo = to;
    from.routeEpoch = this.#epoch;
    return to.active;
  }

  noteSender(session: RelaySession): void {
    const { key } = session;
    if (key === null || key.active === session) return;
    key.active = session;
    key.returns += 1;
    if (key.returns !== FIGHT_RETURNS) return;
    for (const each of key.sessions) each.send(encodeDerpHealth(FIGHT_TEXT));
  }

  leave(session: RelaySession, why: SessionEnd): void {
    if (why !== 'closed') this.counters[why] += 1;
    this.#forgetLogin(session);
    this.#sessions.delete(session);
    const { key } = session;
    if (key === null) return;
    const at = key.sessions.indexOf(session);
    if (at >= 0) key.sessions.splice(at, 1);
    if (key.active === session) key.active = key.sessions.at(-1) ?? null;
    if (key.active === null) this.#leaveKey(key);
    else if (key.sessions.length === 1) {
      if (key.returns >= FIGHT_RETURNS) key.active.send(encodeDerpHealth(''));
      key.returns = 0;
    }
  }

  /** Ends every connection of the key. It may come back if it is still admitted. */
  revoke(nodeKey: NodeKeyHex): void {
    for (const session of this.#find(nodeKey)?.sessions.slice() ?? []) session.end('cutRevoked');
  }

  /** Asks again whether a key is admitted, and to which tailnets; all keys without one. */
  recheck(nodeKey?: NodeKeyHex): void {
    const found = nodeKey === undefined ? [...this.#keys.values()] : [this.#find(nodeKey)];
    for (const key of found) {
      if (key === undefined) continue;
      const member = this.#admission.admit(key.hex);
      if (member === null || member.tailnets.length === 0) this.revoke(key.hex);
      else this.#setTailnets(key, member.tailnets);
    }
  }

  isConnected(nodeKey: NodeKeyHex): boolean {
    return this.#find(nodeKey) !== undefined;
  }

  /** To be called every `RELAY_SWEEP_MS` while it is not empty. */
  sweep(): void {
    this.recheck();
    const nowMs = this.#clock.monotonicMs();
    for (const session of [...this.#loggingIn, ...this.#sessions]) session.sweep(nowMs);
  }

  /** Says that the relay restarts, and ends every connection. */
  close(reconnectInMs: number): void {
    const restarting = encodeDerpRestarting(reconnectInMs, RECONNECT_TRY_MS);
    for (const session of this.#sessions) session.send(restarting);
    for (const session of [...this.#loggingIn, ...this.#sessions]) session.end('closed');
  }

  /** The counters with their gauges as they stand. */
  snapshot(): RelayCounters {
    let homes = 0;
    for (const session of this.#sessions) if (session.isHome) homes += 1;
    return {
      ...this.counters,
      clients: this.#sessions.size,
      keys: this.#keys.size,
      homes,
      loggingIn: this.#loggingIn.size,
      queuedBytes: this.#total.bytes,
    };
  }

  #find(nodeKey: NodeKeyHex): RelayKey | undefined {
    return this.#keys.get(Buffer.from(nodeKey, 'hex').toString('latin1'));
  }

  #budgetOf(tailnet: string): QueueBudget {
    let known = this.#budgets.get(tailnet);
    if (known === undefined) {
      known = { budget: new QueueBudget(this.limits.tailnetQueueMaxBytes, this.#total), keys: 0 };
      this.#budgets.set(tailnet, known);
    }
    known.keys += 1;
    return known.budget;
  }

  #forgetBudgetOf(tailnet: string): void {
    const known = this.#budgets.get(tailnet);
    if (known === undefined) return;
    known.keys -= 1;
    if (known.keys === 0) this.#budgets.delete(tailnet);
  }

  #setTailnets(key: RelayKey, tailnets: readonly string[]): void {
    const isSame =
      tailnets.length === key.tailnets.length && tailnets.every((id) => key.tailnets.includes(id));
    if (isSame) return;
    key.tailnets = tailnets;
    this.#epoch += 1;
  }

  /** The last connection of a key is gone. */
  #leaveKey(key: RelayKey): void {
    this.#keys.delete(key.bytes.toString('latin1'));
    this.#forgetBudgetOf(key.payer);
    key.routeTo = null;
    const gone = encodeDerpPeerGone(key.bytes, 'disconnected');
    /* Not to who no longer shares a tailnet with it: that it left is nothing of theirs. */
    for (const hearer of key.takeHearers()) if (hearer.sharesTailnetWith(key)) hearer.active?.send(gone);
  }

  #forgetLogin(session: RelaySession): void {
    if (!this.#loggingIn.delete(session)) return;
    const left = (this.#loggingInBySource.get(session.source) ?? 1) - 1;
    if (left === 0) this.#loggingInBySource.delete(session.source);
    else this.#loggingInBySource.set(session.source, left);
  }
}
