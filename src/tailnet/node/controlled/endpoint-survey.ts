/**
 * Where this node may be reached, and which relay is its home: asked of the relays' STUN servers
 * through the port that WireGuard uses, again and again, and told to whoever wants to know.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import type { Clock } from '../../../base/clock.ts';
import type { Random } from '../../../base/random.ts';
import { type Cidr, cidrContains, formatIp, type IpAddress, parseCidr, parseIp } from '../../../wire/ip.ts';
import { formatIpPort, type IpPort } from '../../../wire/ip-port.ts';
import {
  chooseHome,
  measureHttps,
  STUN_RETRY_MS,
  STUN_ROUND_MS,
  STUN_TRIES,
  StunProbes,
  type StunReport,
  type StunServer,
} from '../../derp/index.ts';
import {
  type DerpMap,
  type DerpNode,
  EMPTY_DERP_MAP,
  type NetFacts,
  NO_NET_FACTS,
  type Sleep,
  type StreamDialer,
} from '../../protocol/index.ts';
import { gatherEndpoints, type InterfaceAddress } from '../paths/index.ts';
import { isReachable } from '../paths/path.ts';

/** A NAT keeps a mapping for 30 s and more (RFC 4787 section 4.3 wants two minutes, many give less). */
const ROUND_EVERY_MS = 25_000;
/** How often the machine's own addresses are looked at. */
const LOOK_EVERY_MS = 5_000;
/** A look that comes this late was slept over: the network may be any other. */
const SLEPT_MS = 30_000;
/** Of one region; the first that answers is enough. */
const SERVERS_PER_REGION = 2;
/** Of all regions; every name costs a look-up. */
const SERVERS_MAX = 64;
const HTTPS_MS = 8_000;

export interface EndpointSurveyOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
  readonly dialer: StreamDialer;
  readonly plainHost: string | null;
  /** Of the UDP sockets; null where the family has none. */
  readonly portIpv4: number | null;
  readonly portIpv6: number | null;
  /** What the operator says we are reached at. */
  readonly configured: readonly IpPort[];
  readonly allowLoopback: boolean;
  readonly sendUdp: (to: IpPort, host: string, datagram: Buffer) => void;
  /** Something of it changed. */
  readonly found: (facts: NetFacts) => void;
  /** The machine has other addresses than before, or has slept. */
  readonly networkChanged: () => void;
}

export class EndpointSurvey {
  readonly #options: EndpointSurveyOptions;
  readonly #life = new AbortController();
  #map: DerpMap = EMPTY_DERP_MAP;
  #facts: NetFacts = NO_NET_FACTS;
  #probes: StunProbes | null = null;
  #allAnswered = new AbortController();
  #running: Promise<void> | null = null;
  #isWanted = false;
  #interfaces: readonly InterfaceAddress[] = [];
  #lookedMs: number;
  #roundMs = -Infinity;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: EndpointSurveyOptions) {
    this.#options = options;
    this.#lookedMs = options.clock.monotonicMs();
  }

  get facts(): NetFacts {
    return this.#facts;
  }

  /** Begins; the first round waits for the relays. The timer does not keep the process alive, the sockets do. */
  start(): void {
    this.#interfaces = readInterfaces();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  /** The relays from now on. */
  setDerpMap(map: DerpMap): void {
    this.#map = map;
    /* Where there is no choice, nobody waits for measurements. */
    if (map.regions.size === 1) {
      const homeDerp = chooseHome({ map, latencies: new Map(), current: this.#facts.homeDerp });
      this.#facts = { ...this.#facts, homeDerp };
      this.#options.found(this.#facts);
    }
    this.survey();
  }

  /** A round now, or after the one that runs. */
  survey(): void {
    this.#isWanted = true;
    this.#running ??= this.#rounds();
  }

  /** An answer to one of our questions, or anything that looks like it. */
  receive(datagram: Buffer): void {
    const probes = this.#probes;
    if (probes === null || !probes.receive(datagram, this.#options.clock.monotonicMs())) return;
    if (probes.isComplete) this.#allAnswered.abort();
  }

  async close(): Promise<void> {
    this.#life.abort();
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running;
  }

  #look(): void {
    const now = this.#options.clock.monotonicMs();
    const hasSlept = now - this.#lookedMs > SLEPT_MS;
    this.#lookedMs = now;
    const interfaces = readInterfaces();
    const isOther = JSON.stringify(interfaces) !== JSON.stringify(this.#interfaces);
    this.#interfaces = interfaces;
    if (hasSlept || isOther) this.#options.networkChanged();
    if (hasSlept || isOther || now - this.#roundMs >= ROUND_EVERY_MS) this.survey();
  }

  async #rounds(): Promise<void> {
    while (this.#isWanted && !this.#life.signal.aborted) {
      this.#isWanted = false;
      this.#roundMs = this.#options.clock.monotonicMs();
      const map = this.#map;
      const report = await this.#ask(map);
      const latencies =
        report.hasUdp || map.regions.size === 0 ? report.latencies : await this.#measureHttps(map);
      if (!this.#life.signal.aborted) this.#note(map, report, latencies);
    }
    this.#running = null;
  }

  /** One round of STUN. Never rejects. */
  async #ask(map: DerpMap): Promise<StunReport> {
    const { clock, random, sendUdp, sleep } = this.#options;
    const probes = new StunProbes(await this.#servers(map), random);
    this.#allAnswered = new AbortController();
    const signal = AbortSignal.any([this.#life.signal, this.#allAnswered.signal]);
    this.#probes = probes;
    const pause = (ms: number): Promise<void> => sleep(ms, signal).catch(() => undefined);
    for (let tries = 0; tries < STUN_TRIES && !probes.isComplete && !signal.aborted; tries += 1) {
      for (const { to, datagram } of probes.ask(clock.monotonicMs())) sendUdp(to, formatIp(to.ip), datagram);
      await pause(STUN_RETRY_MS);
    }
    if (!probes.isComplete && !signal.aborted) await pause(STUN_ROUND_MS - STUN_TRIES * STUN_RETRY_MS);
    this.#probes = null;
    return probes.report();
  }

  async #servers(map: DerpMap): Promise<StunServer[]> {
    const nodes = [...map.regions.values()]
      .filter(({ isNoHome }) => !isNoHome)
      .flatMap(({ id, nodes: all }) => {
        const answering = all.filter(({ stunPort }) => stunPort !== null);
        return answering.slice(0, SERVERS_PER_REGION).map((node) => ({ region: id, node }));
      });
    const found = await Promise.all(
      nodes.slice(0, SERVERS_MAX).map(async ({ region, node }) => {
        const ips = await addressesOf(node);
        return ips.map((ip) => ({ region, address: { ip, port: node.stunPort ?? 0 } }));
      }),
    );
    const { allowLoopback, portIpv4, portIpv6 } = this.#options;
    return found.flat().filter(({ address }) => {
      const hasFamily = (address.ip.family === 4 ? portIpv4 : portIpv6) !== null;
      return hasFamily && isReachable(address, allowLoopback);
    });
  }

  #measureHttps(map: DerpMap): Promise<ReadonlyMap<number, number>> {
    const signal = AbortSignal.any([this.#life.signal, AbortSignal.timeout(HTTPS_MS)]);
    return measureHttps({ ...this.#options, map, signal });
  }

  #note(map: DerpMap, report: StunReport, latencies: ReadonlyMap<number, number>): void {
    const before = this.#facts;
    const { portIpv4, portIpv6, configured, allowLoopback } = this.#options;
    const loopback = allowLoopback && portIpv4 !== null ? [{ ip: LOOPBACK, port: portIpv4 }] : [];
    const endpoints = gatherEndpoints({
      interfaces: this.#interfaces,
      portIpv4,
      portIpv6,
      seenAs: [report.ipv4, report.ipv6].filter((address) => address !== null),
      configured: [...configured, ...loopback],
      isTailnet,
    });
    this.#facts = {
      homeDerp: chooseHome({ map, latencies, current: before.homeDerp }),
      derpLatency: report.derpLatency,
      hasUdp: map.regions.size === 0 ? null : report.hasUdp,
      hasIpv6: map.regions.size === 0 ? null : report.ipv6 !== null,
      mappingVaries: report.mappingVaries,
      endpoints,
    };
    this.#options.found(this.#facts);
  }
}

const LOOPBACK: IpAddress = { family: 4, value: 0x7f000001n };
/** Addresses of networks of this kind: paths through them would lead to themselves. */
const TAILNETS = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'];

function isTailnet(address: string): boolean {
  const ip = parseIp(address.split('%')[0] ?? '');
  return ip !== null && TAILNETS.some((text) => isIn(parseCidr(text), ip));
}

function isIn(cidr: Cidr | null, ip: IpAddress): boolean {
  return cidr !== null && cidrContains(cidr, ip);
}

function readInterfaces(): readonly InterfaceAddress[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address, internal }) => ({ address, internal }));
}

/** One of each family, by the map or by the name; none if the name has none. */
async function addressesOf({ hostname, ipv4, ipv6 }: DerpNode): Promise<IpAddress[]> {
  const named = [ipv4, ipv6, hostname].flatMap((text) => parseIp(text) ?? []);
  const answers = named.length > 0 ? [] : await systemLookup(hostname, { all: true }).catch(() => []);
  const ips = [...named, ...answers.flatMap(({ address }) => parseIp(address) ?? [])];
  const first = (family: 4 | 6): readonly IpAddress[] => ips.filter((ip) => ip.family === family).slice(0, 1);
  return [...(ipv4 === 'none' ? [] : first(4)), ...(ipv6 === 'none' ? [] : first(6))];
}

/** Whether others need to hear of it: latencies alone change with every round. */
export function tellsNews(facts: NetFacts, before: NetFacts): boolean {
  return signatureOf(facts) !== signatureOf(before);
}

function signatureOf({ endpoints, derpLatency: _latency, ...rest }: NetFacts): string {
  const texts = endpoints.map(({ address, source }) => `${source} ${formatIpPort(address)}`);
  return JSON.stringify([rest, texts.toSorted()]);
}
