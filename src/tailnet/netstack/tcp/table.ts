/**
 * All TCP of one stack: finds the connection or the listener for a segment, opens and forgets
 * connections, and bounds them (RFC 9293 section 3.10.7, RFC 4987, RFC 6056, RFC 6528).
 */
import type { Random } from '../../../base/random.ts';
import { AppError } from '../../../base/errors.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';
import { createTcpSegment, readTcp, TCP_FLAG, type TcpSegment } from '../../../wire/tcp.ts';
import type { NetStackCounters } from '../counters.ts';
import { RateLimit } from '../rate-limit.ts';
import { WakeHeap } from '../wake-heap.ts';
import { arrive, takeSyn } from './arrival.ts';
import { type TcpBlock, type TcpFailure, type TcpHandlers, type TcpHost, nextTimer } from './block.ts';
import { endConnection, startHandshakeTimer } from './closing.ts';
import { TcpConnection } from './connection.ts';
import { sendReset, sendSyn } from './emit.ts';
import { equals, FlowTable, type FlowKey } from './flows.ts';
import {
  BACKLOG_DEFAULT,
  BACKLOG_PER_SOURCE_MAX,
  type ListeningPort,
  type TcpListener,
  type TcpListenOptions,
} from './listener.ts';
import { createBlock } from './new-block.ts';
import { sendStrayReset } from './stray-reset.ts';
import { isBefore } from './sequence.ts';
import { fireTimers } from './timers.ts';
import { transmit } from './transmit.ts';

/** Above the well-known and most registered services; RFC 6056 section 3.2 wants the range large. */
const EPHEMERAL_FIRST = 32_768;
const EPHEMERAL_COUNT = 32_768;
/** RFC 6528: the clock part of an initial sequence number ticks every 4 µs. */
const ISN_TICKS_PER_MS = 250;
const RESETS_PER_SECOND = 500;
const RESETS_BURST = 200;
/** Segments that one acknowledgment may wait for in a batch: what libuv reads from a socket in one go. */
const BATCH_SEGMENTS_MAX = 32;

/** `address_in_use`: the port has a listener. `no_free_port`: every port towards that peer is taken. `too_many_connections`: the stack's limit. */
export type NetStackErrorCode = 'address_in_use' | 'no_free_port' | 'too_many_connections';

export interface TcpTableOptions {
  readonly host: Omit<TcpHost, 'reschedule' | 'accept' | 'noteTimeWait' | 'forget'>;
  readonly counters: NetStackCounters;
  readonly random: Random;
  /** A keyed hash of at least 8 bytes. */
  readonly keyedHash: (data: Uint8Array) => Uint8Array;
  readonly connectionsMax: number;
  readonly timeWaitMax: number;
  /** See `NetStackOptions.batches`. */
  readonly batches: boolean;
}

export interface ConnectOptions {
  readonly localAddress: Buffer;
  readonly remoteAddress: Buffer;
  readonly remotePort: number;
  readonly handlers: TcpHandlers;
}

export class TcpTable {
  readonly #options: TcpTableOptions;
  readonly #host: TcpHost;
  readonly #flows: FlowTable;
  readonly #wakes = new WakeHeap<TcpBlock>();
  readonly #listeners = new Map<number, ListeningPort[]>();
  readonly #halfOpenOf = new Map<TcpBlock, ListeningPort>();
  /** The oldest first. */
  readonly #timeWaits = new Set<TcpBlock>();
  readonly #resetLimit = new RateLimit(RESETS_PER_SECOND, RESETS_BURST);
  readonly #segment: TcpSegment = createTcpSegment();
  /** Segments came whose answer waits for the end of the batch. */
  readonly #unsettled = new Set<TcpBlock>();

  constructor(options: TcpTableOptions) {
    this.#options = options;
    this.#flows = new FlowTable(this.#random32());
    this.#host = {
      ...options.host,
      reschedule: (block) => this.#wakes.schedule(block, nextTimer(block)),
      accept: (block, now) => this.#accept(block, now),
      noteTimeWait: (block) => this.#noteTimeWait(block),
      forget: (block) => this.#forget(block),
    };
  }

  /** Connections in any state, TIME-WAIT included. */
  get size(): number {
    return this.#flows.size;
  }

  get nextWake(): number {
    return this.#unsettled.size > 0 ? Number.NEGATIVE_INFINITY : this.#wakes.nextAt;
  }

  /** Ends a batch, and fires the timers that are due. */
  tick(now: number): void {
    for (const block of this.#unsettled) this.#settle(block, now);
    for (;;) {
      const block = this.#wakes.takeDue(now);
      if (block === undefined) return;
      if (nextTimer(block) <= now) {
        fireTimers(block, now);
        this.#tell(block, now);
      }
      if (block.state !== 'closed') this.#wakes.schedule(block, nextTimer(block));
    }
  }

  /** A packet whose headers say TCP and that is for us. */
  receive(packet: Buffer, ip: IpPacket, now: number): void {
    const segment = this.#segment;
    if (!readTcp(packet, ip, segment)) {
      this.#options.counters.drops.malformed += 1;
      return;
    }
    const flow: FlowKey = {
      bytes: packet,
      localAt: ip.destinationAt,
      remoteAt: ip.sourceAt,
      length: ip.addressesEnd - ip.destinationAt,
      ports: (segment.destinationPort << 16) | segment.sourcePort,
    };
    const block = this.#flows.find(flow);
    if (block === undefined || this.#givesWay(block)) {
      this.#receiveStray(packet, ip, flow, now);
      return;
    }
    arrive(block, segment, packet.subarray(segment.dataAt, segment.dataEnd), now);
    if (this.#options.batches && mayWait(block, segment)) this.#unsettled.add(block);
    else this.#settle(block, now);
  }

  /**
   * Tells the owner and sends what follows from the segments that arrived. What is told comes first: an
   * answer written at once carries the acknowledgment, and the window is up to date.
   */
  #settle(block: TcpBlock, now: number): void {
    this.#unsettled.delete(block);
    try {
      this.#tell(block, now);
    } finally {
      if (block.state !== 'closed') transmit(block, now);
    }
  }

  /** A new SYN may end TIME-WAIT if it cannot be an old one: RFC 9293 section 3.10.7.4, RFC 6191. */
  #givesWay(block: TcpBlock): boolean {
    const segment = this.#segment;
    if (block.state !== 'time-wait') return false;
    if ((segment.flags & (TCP_FLAG.syn | TCP_FLAG.ack | TCP_FLAG.rst)) !== TCP_FLAG.syn) return false;
    const isNewer =
      block.timestamps && segment.hasTimestamps && isBefore(block.timestampRecent, segment.timestamp);
    if (!isNewer && !isBefore(block.receiveNext, segment.sequence)) return false;
    endConnection(block, null);
    return true;
  }

  #receiveStray(packet: Buffer, ip: IpPacket, flow: FlowKey, now: number): void {
    const segment = this.#segment;
    const listener = this.#listenerFor(packet, ip);
    const isOpening = (segment.flags & (TCP_FLAG.syn | TCP_FLAG.ack | TCP_FLAG.rst)) === TCP_FLAG.syn;
    if (listener !== undefined && isOpening) {
      this.#open(listener, flow, now);
      return;
    }
    const { drops, tcp } = this.#options.counters;
    drops.noConnection += 1;
    if ((segment.flags & TCP_FLAG.rst) !== 0) return;
    if (!this.#resetLimit.allows(now)) {
      drops.rateLimited += 1;
      return;
    }
    tcp.resetsSent += 1;
    sendStrayReset(this.#host, segment, flow);
  }

  #listenerFor(packet: Buffer, ip: IpPacket): ListeningPort | undefined {
    const listeners = this.#listeners.get(this.#segment.destinationPort);
    return listeners?.find(
      ({ address }) =>
        address === null || equals(address, packet, ip.destinationAt, ip.addressesEnd - ip.destinationAt),
    );
  }

  #open(listener: ListeningPort, flow: FlowKey, now: number): void {
    if (!this.#makeRoom()) {
      this.#options.counters.drops.connectionLimit += 1;
      return;
    }
    const localAddress = Buffer.from(flow.bytes.subarray(flow.localAt, flow.localAt + flow.length));
    const remoteAddress = Buffer.from(flow.bytes.subarray(flow.remoteAt, flow.remoteAt + flow.length));
    this.#evictHalfOpen(listener, remoteAddress);
    const block = this.#create('syn-received', { localAddress, remoteAddress }, flow.ports, now);
    listener.halfOpen.add(block);
    this.#halfOpenOf.set(block, listener);
    takeSyn(block, this.#segment, now);
    sendSyn(block, now);
    startHandshakeTimer(block, now);
  }

  /** The oldest half-open connection gives way: of the same source if it has many, else of all. */
  #evictHalfOpen(listener: ListeningPort, source: Buffer): void {
    const ofSource = listener.halfOpen.size < BACKLOG_PER_SOURCE_MAX ? [] : sameSource(listener, source);
    const isFull = listener.halfOpen.size >= listener.backlog;
    if (!isFull && ofSource.length < BACKLOG_PER_SOURCE_MAX) return;
    const [victim] = ofSource.length >= BACKLOG_PER_SOURCE_MAX ? ofSource : listener.halfOpen;
    if (victim === undefined) return;
    this.#options.counters.tcp.backlogEvicted += 1;
    endConnection(victim, null);
  }

  #makeRoom(): boolean {
    if (this.#flows.size < this.#options.connectionsMax) return true;
    const [oldest] = this.#timeWaits;
    if (oldest === undefined) return false;
    endConnection(oldest, null);
    return true;
  }

  #create(
    state: 'syn-sent' | 'syn-received',
    addresses: { localAddress: Buffer; remoteAddress: Buffer },
    ports: number,
    now: number,
  ): TcpBlock {
    const portBytes = Buffer.alloc(4);
    portBytes.writeInt32BE(ports);
    const hash = Buffer.from(
      this.#options.keyedHash(Buffer.concat([addresses.localAddress, addresses.remoteAddress, portBytes])),
    );
    const block = createBlock({
      host: this.#host,
      ...addresses,
      localPort: ports >>> 16,
      remotePort: ports & 0xffff,
      state,
      initialSequence: (hash.readInt32BE(0) + Math.floor((now * ISN_TICKS_PER_MS) % 2 ** 32)) | 0,
      timestampOffset: hash.readInt32BE(4),
    });
    this.#flows.add(block);
    return block;
  }

  /** Opens a connection; its SYN leaves at once. Throws `no_free_port` and `too_many_connections`. */
  connect(options: ConnectOptions, now: number): TcpConnection {
    if (!this.#makeRoom()) {
      throw new AppError<NetStackErrorCode>(
        'too_many_connections',
        `the network stack has ${this.#options.connectionsMax} connections, its limit`,
      );
    }
    const { localAddress, remoteAddress, remotePort } = options;
    const ports = (this.#freePort(options) << 16) | remotePort;
    const block = this.#create('syn-sent', { localAddress, remoteAddress }, ports, now);
    block.handlers = options.handlers;
    sendSyn(block, now);
    startHandshakeTimer(block, now);
    return new TcpConnection(block);
  }

  /** A random port that no connection to the same peer has: RFC 6056 section 3.3.1. */
  #freePort(options: ConnectOptions): number {
    const { localAddress, remoteAddress, remotePort } = options;
    const bytes = Buffer.concat([localAddress, remoteAddress]);
    const { length } = localAddress;
    const first = this.#random32() >>> 0;
    for (let step = 0; step < EPHEMERAL_COUNT; step += 1) {
      const port = EPHEMERAL_FIRST + ((first + step) % EPHEMERAL_COUNT);
      const ports = (port << 16) | remotePort;
      if (this.#flows.find({ bytes, localAt: 0, remoteAt: length, length, ports }) === undefined) return port;
    }
    throw new AppError<NetStackErrorCode>('no_free_port', 'every local port towards this address is in use');
  }

  /** Listens. Throws `address_in_use`. */
  listen(options: TcpListenOptions): TcpListener {
    const { address, accept } = options;
    const port = options.port === 0 ? this.#unusedListenPort() : options.port;
    const others = this.#listeners.get(port) ?? [];
    const isTaken = others.some(
      (other) => address === null || other.address === null || address.equals(other.address),
    );
    if (isTaken) {
      throw new AppError<NetStackErrorCode>('address_in_use', `port ${port} already has a listener`);
    }
    const backlog = options.backlog ?? BACKLOG_DEFAULT;
    const listener: ListeningPort = { address, port, backlog, accept, halfOpen: new Set() };
    this.#listeners.set(port, [...others, listener]);
    return { port, close: (now) => this.#unlisten(listener, now) };
  }

  #unusedListenPort(): number {
    const first = this.#random32() >>> 0;
    for (let step = 0; step < EPHEMERAL_COUNT; step += 1) {
      const port = EPHEMERAL_FIRST + ((first + step) % EPHEMERAL_COUNT);
      if (!this.#listeners.has(port)) return port;
    }
    throw new AppError<NetStackErrorCode>('no_free_port', 'every port has a listener');
  }

  #unlisten(listener: ListeningPort, now: number): void {
    const rest = (this.#listeners.get(listener.port) ?? []).filter((other) => other !== listener);
    if (rest.length === 0) this.#listeners.delete(listener.port);
    else this.#listeners.set(listener.port, rest);
    for (const block of listener.halfOpen) {
      sendReset(block, now);
      endConnection(block, null);
    }
  }

  /** An error from the network about a segment of ours; `sequence` is what it quotes. */
  noteUnreachable(flow: FlowKey, sequence: number, failure: TcpFailure, now: number): boolean {
    const block = this.#flows.find(flow);
    if (block === undefined) return false;
    /* Later it is only a hint (RFC 1122 section 4.2.3.9), and easily forged (RFC 5927). */
    if (block.state !== 'syn-sent' || sequence !== block.initialSequence) return false;
    endConnection(block, failure);
    this.#tell(block, now);
    return true;
  }

  /** The path takes less: RFC 1191, RFC 8201; only if it quotes what is under way (RFC 5927 section 4.1). */
  noteTooBig(flow: FlowKey, sequence: number, mss: number, now: number): boolean {
    const block = this.#flows.find(flow);
    if (block === undefined || mss >= block.mss) return false;
    const isUnderWay = !isBefore(sequence, block.sendUnacknowledged) && isBefore(sequence, block.sendNext);
    if (!isUnderWay) return false;
    block.mss = mss;
    block.congestion.setMss(mss);
    block.inFlight.markAllLost();
    block.recovery = 'timeout';
    block.recoveryPoint = block.sendNext;
    block.mustRetransmit = true;
    transmit(block, now);
    return true;
  }

  /** Ends everything at once: resets for connections, nothing more is told. */
  close(now: number): void {
    for (const listeners of this.#listeners.values())
      for (const listener of listeners) this.#unlisten(listener, now);
    for (const block of this.#flows.all()) new TcpConnection(block).abort(now);
  }

  /** Tells the owner what happened; it may call back into the connection. */
  #tell(block: TcpBlock, now: number): void {
    if (block.tellConnected) {
      block.tellConnected = false;
      if (block.isPassive) this.#accept(block, now);
      else block.handlers?.connected();
    }
    if (block.tellReadable) {
      block.tellReadable = false;
      block.handlers?.readable();
    }
    if (block.wantsWritable && block.sendBuffer.length <= block.host.limits.sendBufferBytes * 0.75) {
      block.wantsWritable = false;
      if (block.state !== 'closed') block.handlers?.writable();
    }
    if (block.tellFailure !== null) {
      const failure = block.tellFailure;
      block.tellFailure = null;
      block.handlers?.failed(failure);
      block.handlers = null;
    }
  }

  #accept(block: TcpBlock, now: number): void {
    const listener = this.#halfOpenOf.get(block);
    this.#leaveBacklog(block);
    const connection = new TcpConnection(block);
    if (listener === undefined) connection.abort(now);
    else listener.accept(connection, now);
  }

  #leaveBacklog(block: TcpBlock): void {
    this.#halfOpenOf.get(block)?.halfOpen.delete(block);
    this.#halfOpenOf.delete(block);
  }

  #noteTimeWait(block: TcpBlock): void {
    this.#timeWaits.add(block);
    if (this.#timeWaits.size <= this.#options.timeWaitMax) return;
    const [oldest] = this.#timeWaits;
    if (oldest !== undefined) endConnection(oldest, null);
  }

  #forget(block: TcpBlock): void {
    this.#flows.remove(block);
    this.#wakes.remove(block);
    this.#unsettled.delete(block);
    this.#timeWaits.delete(block);
    if (block.isPassive) this.#leaveBacklog(block);
  }

  #random32(): number {
    const bytes = this.#options.random.bytes(4);
    return Buffer.from(bytes).readInt32BE(0);
  }
}

/**
 * Whether the answer to a segment may wait for the end of its batch: plain data or an acknowledgment,
 * in order and without loss on either side. Everything else is answered by itself, as senders count on.
 */
function mayWait(block: TcpBlock, segment: TcpSegment): boolean {
  return (
    (block.state === 'established' || block.state === 'close-wait') &&
    (segment.flags & (TCP_FLAG.syn | TCP_FLAG.fin | TCP_FLAG.rst)) === 0 &&
    block.recovery === 'none' &&
    !block.tellConnected &&
    !block.receiveQueue.hasGap &&
    block.duplicateLeft === block.duplicateRight &&
    block.unacknowledgedBytes < BATCH_SEGMENTS_MAX * block.receiveMss
  );
}

function sameSource(listener: ListeningPort, source: Buffer): TcpBlock[] {
  return [...listener.halfOpen].filter(({ remoteAddress }) => remoteAddress.equals(source));
}
