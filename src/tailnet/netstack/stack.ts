/**
 * A TCP/IP stack for one device, as a pure core: packets and the time come in, packets go out through
 * `output`; no socket, no clock, no timer. Whoever feeds it has checked that a packet's source belongs
 * to the peer that sent it. Left out: fragments (dropped and counted), routing, multicast.
 */
import { assert } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { type IcmpFields, ICMP_HEADER_BYTES, parseIcmp, parseQuote, writeIcmp } from '../../wire/icmp.ts';
import {
  createIpPacket,
  IP_PROTOCOL,
  ipHeaderBytes,
  type IpPacket,
  readIpPacket,
  writeIpHeader,
} from '../../wire/ip-packet.ts';
import { createTcpSegment } from '../../wire/tcp.ts';
import { findOwn, isImpossibleSource, OWN_ADDRESSES_MAX } from './addresses.ts';
import { createCounters, type NetStackCounters } from './counters.ts';
import { MemoryBudget } from './memory-budget.ts';
import { RateLimit } from './rate-limit.ts';
import type { TcpFailure, TcpHandlers } from './tcp/block.ts';
import type { TcpConnection } from './tcp/connection.ts';
import { HOP_LIMIT } from './tcp/emit.ts';
import type { TcpListener, TcpListenOptions } from './tcp/listener.ts';
import { TcpTable } from './tcp/table.ts';
import { type UdpBindOptions, type UdpPort, UdpPorts } from './udp-ports.ts';

/** Every tailnet and WireGuard path carries this (RFC 8200 section 5). */
const MTU_DEFAULT = 1280;
/** RFC 791's least datagram that all take; TCP segments stay useful. */
const MTU_MIN = 576;
const MTU_MAX = 65_535;
/** Smaller path MTUs are not believed: IPv6's least, and Linux's for IPv4. */
const PATH_MTU_MIN = { 4: 552, 6: 1280 } as const;
const ECHOES_PER_SECOND = 200;
const ERRORS_PER_SECOND = 100;
/** What an ICMP error quotes at most: RFC 1812 section 4.3.2.3 and RFC 4443 section 2.4 (c). */
const ERROR_PACKET_MAX_BYTES = { 4: 576, 6: 1280 } as const;
/** Packets to ourselves that wait for their turn. */
const LOOP_PACKETS_MAX = 1024;

export interface NetStackOptions {
  /** Own addresses, 4 or 16 bytes each; 1 to 64. */
  readonly addresses: readonly Buffer[];
  /** Bytes of the largest packet, 576 to 65,535. Default 1280. */
  readonly mtu?: number;
  readonly random: Random;
  /** A keyed hash of at least 8 bytes whose key nobody else has: for RFC 6528. */
  readonly keyedHash: (data: Uint8Array) => Uint8Array;
  /** A packet to send. Its bytes are valid during the call only, which must not call back into the stack. */
  readonly output: (packet: Buffer) => void;
  /** Bytes; default 1 MiB, 64 KiB to 16 MiB. */
  readonly receiveBufferBytes?: number;
  /** Bytes; default 1 MiB. */
  readonly sendBufferBytes?: number;
  /** Bytes in all buffers; default 256 MiB. */
  readonly memoryMaxBytes?: number;
  /** Connections in any state; default 16,384. */
  readonly connectionsMax?: number;
  /**
   * Answers segments that arrive together once: `nextWake` then says "now", and `tick` ends the batch.
   * One acknowledgment then covers up to 32 segments, as a kernel's does that receives them merged
   * (RFC 9293 section 3.8.6.3 only recommends every second). Default off: each is answered by itself.
   */
  readonly batches?: boolean;
}

export class NetStack {
  #addresses: readonly Buffer[];
  readonly #output: (packet: Buffer) => void;
  readonly #mtu: number;
  readonly #packet: Buffer;
  readonly #counters = createCounters();
  readonly #memory: MemoryBudget;
  readonly #tcp: TcpTable;
  readonly #udp: UdpPorts;
  readonly #ip: IpPacket = createIpPacket();
  readonly #echoLimit = new RateLimit(ECHOES_PER_SECOND, ECHOES_PER_SECOND);
  readonly #errorLimit = new RateLimit(ERRORS_PER_SECOND, ERRORS_PER_SECOND);
  #loop: Buffer[] = [];

  constructor(options: NetStackOptions) {
    const { addresses, random } = options;
    const mtu = options.mtu ?? MTU_DEFAULT;
    assertCount(addresses);
    assert(mtu >= MTU_MIN && mtu <= MTU_MAX, `the MTU is ${MTU_MIN} to ${MTU_MAX}, got ${mtu}`);
    this.#addresses = addresses;
    this.#output = options.output;
    this.#mtu = mtu;
    this.#packet = Buffer.allocUnsafeSlow(mtu);
    this.#memory = new MemoryBudget(options.memoryMaxBytes ?? 256 * 1024 * 1024);
    const transmit = (bytes: number): void => this.#transmit(bytes);
    this.#tcp = new TcpTable({
      host: {
        limits: {
          receiveBufferBytes: options.receiveBufferBytes ?? 1024 * 1024,
          sendBufferBytes: options.sendBufferBytes ?? 1024 * 1024,
        },
        memory: this.#memory,
        counters: this.#counters.tcp,
        mtu,
        header: createTcpSegment(),
        packet: this.#packet,
        transmit,
      },
      counters: this.#counters,
      random,
      keyedHash: options.keyedHash,
      connectionsMax: options.connectionsMax ?? 16_384,
      timeWaitMax: 4096,
      batches: options.batches ?? false,
    });
    this.#udp = new UdpPorts({ mtu, packet: this.#packet, counters: this.#counters, random, transmit });
  }

  /** The own addresses. */
  get addresses(): readonly Buffer[] {
    return this.#addresses;
  }

  /** Others from now on. Connections of an address that is gone are the caller's to end: nothing reaches them. */
  setAddresses(addresses: readonly Buffer[]): void {
    assertCount(addresses);
    this.#addresses = addresses;
  }

  get counters(): Readonly<NetStackCounters> {
    return this.#counters;
  }

  /** Connections in any state, and bytes held for all of them. */
  get usage(): { readonly connections: number; readonly memoryBytes: number } {
    return { connections: this.#tcp.size, memoryBytes: this.#memory.usedBytes };
  }

  /** A packet arrived; it belongs to the stack from now on. Never throws by what it contains. */
  receive(packet: Buffer, now: number): void {
    this.#receive(packet, now, false);
  }

  /** Does what is due at `now`. */
  tick(now: number): void {
    const looped = this.#loop;
    if (looped.length > 0) {
      this.#loop = [];
      for (const packet of looped) this.#receive(packet, now, true);
    }
    this.#tcp.tick(now);
  }

  /** When `tick` has to be called next, ms; Infinity if nothing waits. */
  nextWake(): number {
    return this.#loop.length > 0 ? Number.NEGATIVE_INFINITY : this.#tcp.nextWake;
  }

  /** Listens for TCP. Throws `address_in_use`. */
  listen(options: TcpListenOptions): TcpListener {
    return this.#tcp.listen(options);
  }

  /**
   * Opens a TCP connection, from the own address of the same family; null if there is none. Throws
   * `no_free_port` and `too_many_connections`.
   */
  connect(
    remoteAddress: Buffer,
    remotePort: number,
    handlers: TcpHandlers,
    now: number,
  ): TcpConnection | null {
    const localAddress = this.localAddressFor(remoteAddress);
    if (localAddress === null) return null;
    return this.#tcp.connect({ localAddress, remoteAddress, remotePort, handlers }, now);
  }

  /** The own address that packets to `remote` come from, or null. */
  localAddressFor(remote: Buffer): Buffer | null {
    return (
      findOwn(this.#addresses, remote, 0, remote.length) ??
      this.#addresses.find(({ length }) => length === remote.length) ??
      null
    );
  }

  /** Takes a UDP port. Throws `address_in_use`. */
  bindUdp(options: UdpBindOptions): UdpPort {
    return this.#udp.bind(options);
  }

  /** Resets every connection and forgets every port. */
  close(now: number): void {
    this.#tcp.close(now);
    this.#udp.close();
    this.#loop = [];
  }

  #transmit(bytes: number): void {
    this.#counters.packetsOut += 1;
    const packet = this.#packet.subarray(0, bytes);
    const isV4 = (packet[0] ?? 0) >> 4 === 4;
    if (findOwn(this.#addresses, packet, isV4 ? 16 : 24, isV4 ? 4 : 16) === undefined) this.#output(packet);
    else if (this.#loop.length < LOOP_PACKETS_MAX) this.#loop.push(Buffer.from(packet));
  }

  #receive(packet: Buffer, now: number, isLooped: boolean): void {
    const ip = this.#ip;
    const { drops } = this.#counters;
    this.#counters.packetsIn += 1;
    if (!readIpPacket(packet, ip)) {
      drops.malformed += 1;
      return;
    }
    const length = ip.addressesEnd - ip.destinationAt;
    if (findOwn(this.#addresses, packet, ip.destinationAt, length) === undefined) {
      drops.notForUs += 1;
      return;
    }
    const isOwn = findOwn(this.#addresses, packet, ip.sourceAt, length) !== undefined;
    if (isOwn !== isLooped || isImpossibleSource(packet, ip)) {
      drops.badSource += 1;
      return;
    }
    if (ip.isFragment) {
      drops.fragment += 1;
      return;
    }
    const { protocol } = ip;
    if (protocol === IP_PROTOCOL.tcp) this.#tcp.receive(packet, ip, now);
    else if (protocol === IP_PROTOCOL.udp) this.#receiveUdp(packet, now);
    else if (protocol === (ip.family === 4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmpv6)) {
      this.#receiveIcmp(packet, now);
    } else {
      drops.protocol += 1;
      this.#sendError(packet, 'protocol-unreachable', now);
    }
  }

  #receiveUdp(packet: Buffer, now: number): void {
    if (this.#udp.receive(packet, this.#ip)) return;
    this.#counters.drops.noUdpPort += 1;
    this.#sendError(packet, 'port-unreachable', now);
  }

  #receiveIcmp(packet: Buffer, now: number): void {
    const ip = this.#ip;
    const { drops } = this.#counters;
    const message = parseIcmp(packet, ip);
    if (message === null) drops.malformed += 1;
    else if (message.type === 'echo-request') {
      if (!this.#echoLimit.allows(now)) drops.rateLimited += 1;
      else {
        const body = packet.subarray(ip.payloadAt + ICMP_HEADER_BYTES, ip.end);
        const rest = (message.identifier << 16) | message.sequence;
        this.#sendIcmp(packet, { type: 'echo-reply', rest, body });
      }
    } else if (message.type === 'too-big' || message.type === 'unreachable') {
      if (!this.#noteError(packet, message, now)) drops.icmpIgnored += 1;
    } else drops.icmpIgnored += 1;
  }

  #noteError(
    packet: Buffer,
    message: Extract<ReturnType<typeof parseIcmp>, { type: 'too-big' | 'unreachable' }>,
    now: number,
  ): boolean {
    const quote = parseQuote(packet, message.quoteAt, this.#ip.end);
    if (quote === null || quote.protocol !== IP_PROTOCOL.tcp) return false;
    const flow = {
      bytes: packet,
      localAt: quote.sourceAt,
      remoteAt: quote.destinationAt,
      length: quote.addressBytes,
      ports: (quote.sourcePort << 16) | quote.destinationPort,
    };
    if (message.type === 'unreachable') {
      return this.#tcp.noteUnreachable(flow, quote.sequence, failureOf(message.reason), now);
    }
    const family = quote.addressBytes === 4 ? 4 : 6;
    const pathMtu = Math.max(message.mtu, PATH_MTU_MIN[family]);
    return this.#tcp.noteTooBig(flow, quote.sequence, pathMtu - ipHeaderBytes(family) - 20, now);
  }

  /** An ICMP error about the packet just read. */
  #sendError(packet: Buffer, type: 'port-unreachable' | 'protocol-unreachable', now: number): void {
    if (!this.#errorLimit.allows(now)) {
      this.#counters.drops.rateLimited += 1;
      return;
    }
    const { family, end, payloadAt } = this.#ip;
    const room =
      Math.min(ERROR_PACKET_MAX_BYTES[family], this.#mtu) - ipHeaderBytes(family) - ICMP_HEADER_BYTES;
    /* ICMPv6 names the place of the next header that is not known: byte 6, or inside an extension. */
    const rest = family === 6 && type === 'protocol-unreachable' && payloadAt === 40 ? 6 : 0;
    this.#sendIcmp(packet, { type, rest, body: packet.subarray(0, Math.min(end, room)) });
  }

  /** Answers the packet just read, from the address that it was sent to. */
  #sendIcmp(packet: Buffer, fields: IcmpFields): void {
    const { family, sourceAt, destinationAt, addressesEnd } = this.#ip;
    const payloadBytes = ICMP_HEADER_BYTES + fields.body.length;
    if (ipHeaderBytes(family) + payloadBytes > this.#mtu) return;
    const ipBytes = writeIpHeader(this.#packet, {
      source: packet.subarray(destinationAt, addressesEnd),
      destination: packet.subarray(sourceAt, destinationAt),
      protocol: family === 4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmpv6,
      payloadBytes,
      hopLimit: HOP_LIMIT,
    });
    this.#transmit(writeIcmp(this.#packet, ipBytes, fields));
  }
}

function assertCount(addresses: readonly Buffer[]): void {
  assert(addresses.length > 0 && addresses.length <= OWN_ADDRESSES_MAX, 'a stack has 1 to 64 addresses');
}

function failureOf(reason: 'network' | 'host' | 'protocol' | 'port' | 'prohibited'): TcpFailure {
  if (reason === 'port' || reason === 'protocol') return 'ECONNREFUSED';
  return reason === 'network' ? 'ENETUNREACH' : 'EHOSTUNREACH';
}
