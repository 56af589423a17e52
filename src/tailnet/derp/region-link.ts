/** One region's connection over time: its nodes in order, again after failures, gone when nobody needs it. */
import { describeError } from '../../base/errors.ts';
import type { X25519PrivateKey } from '../../crypto/index.ts';
import type { DerpNode, DerpRegion } from '../protocol/derp-map.ts';
import { controlError, printable } from '../protocol/errors.ts';
import type { StreamTarget } from '../protocol/ports.ts';
import { RetryDelay } from '../protocol/retry-delay.ts';
import { DerpConnection } from './derp-connection.ts';
import type { DerpRelaysOptions, RelaySent, RelayState } from './derp-relays.ts';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;
/** A connection that lived this long was no failure to connect. */
const STEADY_MS = 10_000;
/** A region that is not home is left after this long without a packet of ours. */
const IDLE_MS = 300_000;
const IDLE_LOOK_MS = 60_000;
/** Packets that wait for a connection. */
const WAITING_MAX = 32;
/** A relay's own wish to wait is followed up to this. */
const RESTART_MAX_MS = 30_000;
const PROBLEM_MAX_CHARS = 300;

export interface RegionLinkOptions extends DerpRelaysOptions {
  readonly region: DerpRegion;
  readonly nodeKey: X25519PrivateKey;
}

interface Waiting {
  readonly destination: Uint8Array;
  readonly packet: Uint8Array;
}

export class RegionLink {
  /** Resolves when it has ended: closed, or not needed any more. */
  readonly done: Promise<void>;
  readonly #options: RegionLinkOptions;
  readonly #life = new AbortController();
  readonly #retry: RetryDelay;
  readonly #waiting: Waiting[] = [];
  #connection: DerpConnection | null = null;
  #isHome = false;
  #usedAtMs: number;
  #restartInMs: number | null = null;
  #state: RelayState;

  constructor(options: RegionLinkOptions) {
    this.#options = options;
    this.#retry = new RetryDelay({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS, random: options.random });
    this.#usedAtMs = options.clock.monotonicMs();
    this.#state = { region: options.region.id, state: 'connecting', problem: null };
    this.done = this.#run();
  }

  state(): RelayState {
    return this.#state;
  }

  setHome(isHome: boolean): void {
    if (isHome === this.#isHome) return;
    this.#isHome = isHome;
    this.#usedAtMs = this.#options.clock.monotonicMs();
    this.#connection?.notePreferred(isHome);
  }

  /** `packet` is kept until it is sent where there is no connection yet. */
  send(destination: Uint8Array, packet: Uint8Array): RelaySent {
    this.#usedAtMs = this.#options.clock.monotonicMs();
    if (this.#connection !== null) return this.#connection.send(destination, packet);
    if (this.#waiting.length >= WAITING_MAX) return 'queue_full';
    this.#waiting.push({ destination, packet: Buffer.from(packet) });
    return 'queued';
  }

  close(): void {
    this.#life.abort();
    this.#connection?.close();
  }

  #isNeeded(): boolean {
    return this.#isHome || this.#options.clock.monotonicMs() - this.#usedAtMs < IDLE_MS;
  }

  #show(state: RelayState['state'], problem: string | null): void {
    this.#state = { region: this.#options.region.id, state, problem };
    this.#options.onState(this.#state);
  }

  async #run(): Promise<void> {
    const { clock, sleep } = this.#options;
    const { signal } = this.#life;
    while (!signal.aborted && this.#isNeeded()) {
      this.#show('connecting', this.#state.problem);
      const begunMs = clock.monotonicMs();
      const problem = await this.#live().catch((error: unknown) => error);
      this.#connection = null;
      if (signal.aborted) break;
      if (clock.monotonicMs() - begunMs > STEADY_MS) this.#retry.reset();
      const waitMs = this.#restartInMs ?? this.#retry.next();
      this.#restartInMs = null;
      if (!this.#isNeeded()) break;
      this.#show('waiting', problem === null ? null : printable(describeError(problem), PROBLEM_MAX_CHARS));
      /* What waits is stale by then: its senders have long sent it again. */
      this.#waiting.length = 0;
      await sleep(waitMs, signal).catch(() => undefined);
    }
    this.#waiting.length = 0;
    this.#show('idle', null);
  }

  /** Connects and stays; gives why it ended, null if nobody needed it. */
  async #live(): Promise<Error | null> {
    const connection = await this.#connect();
    this.#connection = connection;
    if (this.#isHome) connection.notePreferred(true);
    this.#show('connected', null);
    for (const { destination, packet } of this.#waiting.splice(0)) connection.send(destination, packet);
    const idle = setInterval(() => {
      if (!this.#isNeeded()) connection.close();
    }, IDLE_LOOK_MS).unref();
    const why = await connection.ended;
    clearInterval(idle);
    return why;
  }

  /** The first node of the region that lets us in. */
  async #connect(): Promise<DerpConnection> {
    const { region, onPacket, onPeerGone } = this.#options;
    let failure: unknown = controlError('control_unreachable', `region ${region.id} has no relay`);
    for (const node of region.nodes) {
      if (node.isStunOnly) continue;
      try {
        return await DerpConnection.connect({
          ...this.#options,
          target: relayTarget(node, this.#options.plainHost),
          signal: this.#life.signal,
          onPacket: (source, packet) => onPacket(region.id, source, packet),
          onPeerGone: (peer, reason) => onPeerGone(region.id, peer, reason),
          onHealth: (problem) =>
            this.#show('connected', problem === '' ? null : printable(problem, PROBLEM_MAX_CHARS)),
          onRestarting: (reconnectInMs) => {
            this.#restartInMs = Math.min(reconnectInMs, RESTART_MAX_MS);
          },
        });
      } catch (error) {
        if (this.#life.signal.aborted) throw error;
        failure = error;
      }
    }
    throw failure;
  }
}

/** Where a relay is. `plainHost`: `host:port` of the one that is spoken to without TLS. */
export function relayTarget(node: DerpNode, plainHost: string | null): StreamTarget {
  const { hostname, port, ipv4, certificateName, certificateSha256 } = node;
  const isPlain = plainHost !== null && `${hostname}:${port}` === plainHost;
  return {
    protocol: isPlain ? 'http:' : 'https:',
    hostname,
    port,
    ...(ipv4 === '' || ipv4 === 'none' ? {} : { address: ipv4 }),
    ...(certificateName === null ? {} : { certificateName }),
    ...(certificateSha256 === null ? {} : { certificateSha256 }),
  };
}
