/**
 * Asking the relays' STUN servers where we are seen from, and how far they are. Pure: the caller sends
 * what it is given through the socket that WireGuard uses, whose address is the one to learn.
 */
import type { Random } from '../../base/random.ts';
import { formatIpPort, type IpPort } from '../../wire/ip-port.ts';
import { encodeStunRequest, parseStunAnswer, STUN_TX_BYTES } from '../../wire/stun.ts';

export interface StunServer {
  readonly region: number;
  readonly address: IpPort;
}

export interface StunSend {
  readonly to: IpPort;
  readonly datagram: Buffer;
}

export interface StunReport {
  /** ms by region, the lesser of both families. */
  readonly latencies: ReadonlyMap<number, number>;
  /** Seconds by `region-v4` and `region-v6`, as the control server wants them. */
  readonly derpLatency: ReadonlyMap<string, number>;
  /** Where servers see us; one of each family, the first that was heard. */
  readonly ipv4: IpPort | null;
  readonly ipv6: IpPort | null;
  /** Two servers saw us at different addresses: a NAT that others cannot be told a way through. Null: not known. */
  readonly mappingVaries: boolean | null;
  readonly hasUdp: boolean;
}

/** Each server is asked this often, this far apart, as datagrams get lost. */
export const STUN_TRIES = 3;
export const STUN_RETRY_MS = 300;
/** After this a round is over. */
export const STUN_ROUND_MS = 1500;
/** Servers asked in one round. */
const SERVERS_MAX = 64;

interface Probe {
  readonly server: StunServer;
  readonly sentMs: number;
}

/** One round of questions. */
export class StunProbes {
  readonly #servers: readonly StunServer[];
  readonly #random: Random;
  readonly #waiting = new Map<string, Probe>();
  readonly #derpLatency = new Map<string, number>();
  readonly #latencies = new Map<number, number>();
  readonly #seen = new Map<4 | 6, string>();
  readonly #mapped = new Map<4 | 6, IpPort>();
  #mappingVaries: boolean | null = null;

  constructor(servers: readonly StunServer[], random: Random) {
    this.#servers = servers.slice(0, SERVERS_MAX);
    this.#random = random;
  }

  /** The questions to servers that have not answered; call it `STUN_TRIES` times. */
  ask(nowMs: number): StunSend[] {
    return this.#servers
      .filter((server) => !this.#derpLatency.has(keyOf(server)))
      .map((server) => {
        const tx = Buffer.from(this.#random.bytes(STUN_TX_BYTES));
        this.#waiting.set(tx.toString('latin1'), { server, sentMs: nowMs });
        return { to: server.address, datagram: encodeStunRequest(tx) };
      });
  }

  /** True if the datagram answers one of our questions. From where it came does not matter: the id is secret. */
  receive(datagram: Buffer, nowMs: number): boolean {
    const answer = parseStunAnswer(datagram);
    const probe = answer === null ? undefined : this.#waiting.get(answer.tx.toString('latin1'));
    if (answer === null || probe === undefined) return false;
    this.#waiting.delete(answer.tx.toString('latin1'));
    const key = keyOf(probe.server);
    if (this.#derpLatency.has(key)) return true;
    const latencyMs = Math.max(nowMs - probe.sentMs, 0);
    this.#derpLatency.set(key, latencyMs / 1000);
    const known = this.#latencies.get(probe.server.region);
    this.#latencies.set(probe.server.region, Math.min(known ?? Infinity, latencyMs));
    this.#noteMapped(answer.address);
    return true;
  }

  #noteMapped(address: IpPort): void {
    const { family } = address.ip;
    const text = formatIpPort(address);
    const before = this.#seen.get(family);
    if (before === undefined) {
      this.#seen.set(family, text);
      this.#mapped.set(family, address);
    } else if (family === 4) {
      this.#mappingVaries = this.#mappingVaries === true || before !== text;
    }
  }

  /** All have answered. */
  get isComplete(): boolean {
    return this.#servers.every((server) => this.#derpLatency.has(keyOf(server)));
  }

  report(): StunReport {
    return {
      latencies: this.#latencies,
      derpLatency: this.#derpLatency,
      ipv4: this.#mapped.get(4) ?? null,
      ipv6: this.#mapped.get(6) ?? null,
      mappingVaries: this.#mappingVaries,
      hasUdp: this.#derpLatency.size > 0,
    };
  }
}

function keyOf({ region, address }: StunServer): string {
  return `${region}-v${address.ip.family}`;
}
