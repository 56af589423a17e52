/**
 * What may come in: the network's rules, judged by the receiver. Everything that no rule allows is
 * dropped (tailcfg.FilterRule; the behaviour of wgengine/filter, and stricter where noted):
 *
 * - the destination must be an address of this node;
 * - TCP: only a segment that opens a connection is judged; the rest belongs to a connection or the
 *   stack refuses it;
 * - UDP: judged each, and answers to what this node sent within 5 minutes pass;
 * - ICMP: echo replies and errors pass (the stack matches them to what it sent), requests pass if the
 *   source may reach any port of the destination;
 * - other protocols, and fragments, have no use here and are dropped.
 */
import { cidrContains, type IpAddress } from '../../wire/ip.ts';
import {
  createIpPacket,
  IP_PROTOCOL,
  type IpPacket,
  ipFromBytes,
  readIpPacket,
} from '../../wire/ip-packet.ts';
import { TCP_FLAG } from '../../wire/tcp.ts';
import { type IpRange, IpRangeSet, parseIpRanges } from './ip-ranges.ts';
import type { FilterRule } from './netmap.ts';

/** `accept`, or why a packet is dropped; each is a counter. */
export type FilterVerdict =
  | 'accept'
  | 'malformed'
  | 'fragment'
  | 'not_ours'
  | 'protocol'
  /** No rule allows it. */
  | 'denied';

export interface FilterQuestion {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** IP protocol number. */
  readonly protocol: number;
  /** Of the destination; null asks whether any port is open. */
  readonly port: number | null;
}

export interface RuleSources {
  /** Whether the device with this address has a node capability, for sources `cap:name`. */
  hasCapability(source: IpAddress, name: string): boolean;
  /** False for a device that may be reached but begins nothing. */
  mayBegin(source: IpAddress): boolean;
}

interface CompiledRule {
  readonly sources: IpRangeSet;
  readonly sourceCapabilities: readonly string[];
  /** True at the protocol's number. */
  readonly protocols: Uint8Array;
  readonly ports: readonly { readonly to: IpRangeSet; readonly first: number; readonly last: number }[];
}

/** TCP, UDP, ICMP and ICMPv6: what a rule without protocols means. */
const USUAL_PROTOCOLS: readonly number[] = [6, 17, 1, 58];

/** Rules made ready. Pure; parts of a rule that cannot be read allow nothing. */
export class RuleSet {
  readonly #rules: readonly CompiledRule[];
  readonly #sources: RuleSources;

  constructor(rules: Iterable<FilterRule>, sources: RuleSources) {
    this.#rules = [...rules].filter(({ destinations }) => destinations.length > 0).map(compile);
    this.#sources = sources;
  }

  allows({ source, destination, protocol, port }: FilterQuestion): boolean {
    if (!this.#sources.mayBegin(source)) return false;
    for (const rule of this.#rules) {
      if (port !== null && rule.protocols[protocol] !== 1) continue;
      if (
        !rule.ports.some(
          ({ to, first, last }) => (port === null || (port >= first && port <= last)) && to.has(destination),
        )
      )
        continue;
      if (rule.sources.has(source)) return true;
      if (rule.sourceCapabilities.some((name) => this.#sources.hasCapability(source, name))) return true;
    }
    return false;
  }
}

function compile(rule: FilterRule): CompiledRule {
  const protocols = new Uint8Array(256);
  const numbers = rule.protocols.length === 0 ? USUAL_PROTOCOLS : rule.protocols;
  for (const number of numbers) if (number >= 0 && number <= 255) protocols[number] = 1;
  const { ranges, capabilities } = readSources(rule.sources);
  return {
    sources: new IpRangeSet(ranges),
    sourceCapabilities: capabilities,
    protocols,
    ports: rule.destinations.flatMap(({ addresses, firstPort, lastPort }) => {
      const to = parseIpRanges(addresses);
      return to === null ? [] : [{ to: new IpRangeSet(to), first: firstPort, last: lastPort }];
    }),
  };
}

/** Sources of a rule; what cannot be read names nobody. */
export function readSources(sources: readonly string[]): { ranges: IpRange[]; capabilities: string[] } {
  const ranges: IpRange[] = [];
  const capabilities: string[] = [];
  for (const text of sources) {
    if (text.startsWith('cap:')) capabilities.push(text.slice('cap:'.length));
    else for (const range of parseIpRanges(text) ?? []) ranges.push(range);
  }
  return { ranges, capabilities };
}

/** True if one of the prefixes has the address. */
export function isWithin(ip: IpAddress, prefixes: Iterable<Parameters<typeof cidrContains>[0]>): boolean {
  for (const prefix of prefixes) if (cidrContains(prefix, ip)) return true;
  return false;
}

const UDP_FLOW_MS = 300_000;
const UDP_FLOWS_MAX = 4096;
const ICMP_ECHO_REQUEST = 8;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;
/** ICMP types that answer something: echo reply, unreachable, time exceeded, parameter problem. */
const ICMP_ANSWERS: readonly number[] = [0, 3, 11, 12];

/** The filter of a running node: rules change under it, UDP flows stay. Starts without rules: nothing comes in. */
export class PacketFilter {
  readonly #packet: IpPacket = createIpPacket();
  /** Sent UDP by the way back, to when the way back closes. Oldest first. */
  readonly #flows = new Map<string, number>();
  #rules: RuleSet | null = null;
  #own: ReadonlySet<string> = new Set();

  /** `ownAddresses`: of this node, each as its 4 or 16 bytes. */
  update(rules: RuleSet, ownAddresses: readonly Uint8Array[]): void {
    this.#rules = rules;
    this.#own = new Set(ownAddresses.map((bytes) => Buffer.from(bytes).toString('latin1')));
  }

  /** What becomes of a packet that came through the tunnel; its source has been checked against its peer. */
  check(packet: Buffer, now: number): FilterVerdict {
    const ip = this.#packet;
    if (!readIpPacket(packet, ip)) return 'malformed';
    if (ip.isFragment) return 'fragment';
    if (!this.#own.has(packet.toString('latin1', ip.destinationAt, ip.addressesEnd))) return 'not_ours';
    const left = ip.end - ip.payloadAt;
    switch (ip.protocol) {
      case IP_PROTOCOL.tcp: {
        if (left < 20) return 'malformed';
        const flags = packet[ip.payloadAt + 13] ?? 0;
        if ((flags & (TCP_FLAG.syn | TCP_FLAG.ack)) !== TCP_FLAG.syn) return 'accept';
        return this.#judge(packet, packet.readUInt16BE(ip.payloadAt + 2));
      }
      case IP_PROTOCOL.udp:
        if (left < 8) return 'malformed';
        if (this.#flows.size > 0 && this.#isAnswer(packet, now)) return 'accept';
        return this.#judge(packet, packet.readUInt16BE(ip.payloadAt + 2));
      case IP_PROTOCOL.icmp:
      case IP_PROTOCOL.icmpv6:
        return left < 8 ? 'malformed' : this.#judgeIcmp(packet);
      default:
        return 'protocol';
    }
  }

  /** For every packet that this node sends: answers to UDP may come back. */
  noteSent(packet: Buffer, now: number): void {
    const ip = this.#packet;
    /* The protocol of IPv4 and of IPv6 without extensions, before anything is parsed. */
    const protocol = (packet[0] ?? 0) >> 4 === 4 ? packet[9] : packet[6];
    if (protocol !== IP_PROTOCOL.udp || !readIpPacket(packet, ip) || ip.isFragment) return;
    const ports = packet.toString('latin1', ip.payloadAt, ip.payloadAt + 4);
    const key = packet.toString('latin1', ip.sourceAt, ip.addressesEnd) + ports;
    this.#flows.delete(key);
    this.#flows.set(key, now + UDP_FLOW_MS);
    if (this.#flows.size > UDP_FLOWS_MAX) {
      for (const oldest of this.#flows.keys()) {
        this.#flows.delete(oldest);
        break;
      }
    }
  }

  #isAnswer(packet: Buffer, now: number): boolean {
    const { sourceAt, destinationAt, addressesEnd, payloadAt } = this.#packet;
    const key =
      packet.toString('latin1', destinationAt, addressesEnd) +
      packet.toString('latin1', sourceAt, destinationAt) +
      packet.toString('latin1', payloadAt + 2, payloadAt + 4) +
      packet.toString('latin1', payloadAt, payloadAt + 2);
    const until = this.#flows.get(key);
    return until !== undefined && now < until;
  }

  #judgeIcmp(packet: Buffer): FilterVerdict {
    const { family, payloadAt, protocol } = this.#packet;
    const type = packet[payloadAt] ?? 0;
    if (protocol === IP_PROTOCOL.icmp && family === 4) {
      if (ICMP_ANSWERS.includes(type)) return 'accept';
      return type === ICMP_ECHO_REQUEST ? this.#judge(packet, null) : 'protocol';
    }
    if (protocol !== IP_PROTOCOL.icmpv6 || family !== 6) return 'protocol';
    /* Below 128 are errors (RFC 4443 section 2.1). */
    if (type < ICMPV6_ECHO_REQUEST || type === ICMPV6_ECHO_REPLY) return 'accept';
    return type === ICMPV6_ECHO_REQUEST ? this.#judge(packet, null) : 'protocol';
  }

  #judge(packet: Buffer, port: number | null): FilterVerdict {
    const { sourceAt, destinationAt, addressesEnd, protocol } = this.#packet;
    const isAllowed =
      this.#rules?.allows({
        source: ipFromBytes(packet.subarray(sourceAt, destinationAt)),
        destination: ipFromBytes(packet.subarray(destinationAt, addressesEnd)),
        protocol,
        port,
      }) ?? false;
    return isAllowed ? 'accept' : 'denied';
  }
}
