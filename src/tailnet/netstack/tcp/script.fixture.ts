/** One stack under test and a peer made by hand: segments go in as written, what comes out is read back. */
import assert from 'node:assert/strict';
import { sha256 } from '../../../crypto/index.ts';
import { addToChecksum, finishChecksum } from '../../../wire/checksum.ts';
import { writeIcmp } from '../../../wire/icmp.ts';
import {
  createIpPacket,
  IP_PROTOCOL,
  ipHeaderBytes,
  readIpPacket,
  writeIpHeader,
} from '../../../wire/ip-packet.ts';
import {
  createTcpSegment,
  readTcp,
  sealTcp,
  TCP_FLAG,
  type TcpSegment,
  writeTcpHeader,
} from '../../../wire/tcp.ts';
import { NetStack, type NetStackOptions } from '../stack.ts';
import type { TcpHandlers } from './block.ts';
import type { TcpConnection } from './connection.ts';

export const OWN = Buffer.from([100, 64, 0, 1]);
export const PEER = Buffer.from([100, 64, 0, 2]);

/** A segment of the peer; `sequence` and `ack` count from its and our initial numbers. */
export interface ScriptSegment {
  readonly flags: string;
  readonly sequence?: number;
  readonly ack?: number;
  readonly data?: string | Buffer;
  readonly window?: number;
  readonly mss?: number;
  readonly scale?: number;
  readonly sackOk?: boolean;
  readonly timestamp?: readonly [value: number, echo: number];
  readonly sack?: readonly (readonly [left: number, right: number])[];
  readonly from?: Buffer;
  readonly fromPort?: number;
}

/** What came out, relative in the same way. */
export interface SentSegmentView {
  readonly flags: string;
  readonly sequence: number;
  readonly ack: number;
  readonly data: string;
  readonly raw: TcpSegment;
}

const PEER_START = 1000;
const LETTERS = {
  S: TCP_FLAG.syn,
  F: TCP_FLAG.fin,
  R: TCP_FLAG.rst,
  P: TCP_FLAG.psh,
  '.': TCP_FLAG.ack,
} as const;

export class Script {
  readonly stack: NetStack;
  now = 1_000_000;
  /** Told to the owner, in order. */
  readonly events: string[] = [];
  connection: TcpConnection | undefined;
  #out: Buffer[] = [];
  #ownStart = 0;
  #localPort = 80;
  #remotePort = 5000;

  constructor(options: Partial<NetStackOptions> = {}) {
    let count = 0;
    this.stack = new NetStack({
      addresses: [OWN],
      random: { bytes: (length) => Uint8Array.from({ length }, () => (count += 37) & 0xff) },
      keyedHash: sha256,
      output: (packet) => this.#out.push(Buffer.from(packet)),
      ...options,
    });
  }

  get handlers(): TcpHandlers {
    return {
      connected: () => this.events.push('connected'),
      readable: () => this.events.push('readable'),
      writable: () => this.events.push('writable'),
      failed: (failure) => this.events.push(failure),
    };
  }

  listen(backlog = 256): void {
    this.stack.listen({
      address: null,
      port: 80,
      backlog,
      accept: (connection) => {
        this.connection = connection;
        connection.setHandlers(this.handlers);
        this.events.push('accepted');
      },
    });
  }

  /** A connection that we open; the peer's port is 80 then. */
  connect(): void {
    this.#remotePort = 80;
    const connection = this.stack.connect(PEER, 80, this.handlers, this.now);
    assert.ok(connection);
    this.connection = connection;
    this.#localPort = connection.localPort;
  }

  /** The passive handshake with SACK, over a path of 20 ms. */
  establish(syn: Partial<ScriptSegment> = {}): TcpConnection {
    this.listen();
    this.send({ flags: 'S', mss: 1000, sackOk: true, ...syn });
    this.take();
    this.wait(20);
    this.send({ flags: '.', sequence: 1, ack: 1, window: syn.window ?? 65_535 });
    assert.ok(this.connection);
    this.events.length = 0;
    this.take();
    return this.connection;
  }

  send(segment: ScriptSegment): void {
    const fields = createTcpSegment();
    const data = Buffer.from(segment.data ?? '');
    fields.sourcePort = segment.fromPort ?? this.#remotePort;
    fields.destinationPort = this.#localPort;
    fields.sequence = (PEER_START + (segment.sequence ?? 0)) | 0;
    fields.acknowledgment = (this.#ownStart + (segment.ack ?? 0)) | 0;
    for (const letter of segment.flags) fields.flags |= LETTERS[letter as keyof typeof LETTERS];
    fields.window = segment.window ?? 65_535;
    fields.mss = segment.mss ?? 0;
    fields.windowScale = segment.scale ?? -1;
    fields.sackPermitted = segment.sackOk ?? false;
    if (segment.timestamp !== undefined) {
      fields.hasTimestamps = true;
      [fields.timestamp, fields.timestampEcho] = segment.timestamp;
    }
    for (const [index, [left, right]] of (segment.sack ?? []).entries()) {
      fields.sackEdges[index * 2] = (this.#ownStart + left) | 0;
      fields.sackEdges[index * 2 + 1] = (this.#ownStart + right) | 0;
      fields.sackCount = index + 1;
    }
    const packet = Buffer.alloc(1500);
    const dataAt = writeTcpHeader(packet, ipHeaderBytes(4), fields);
    const end = dataAt + data.copy(packet, dataAt);
    writeIpHeader(packet, {
      source: segment.from ?? PEER,
      destination: OWN,
      protocol: IP_PROTOCOL.tcp,
      payloadBytes: end - 20,
      hopLimit: 64,
    });
    sealTcp(packet, 12, 20, end);
    this.stack.receive(packet.subarray(0, end), this.now);
  }

  /** A message from the path about a segment of ours, which it quotes by its first eight bytes. */
  sendIcmpError(message: { error: 'port-unreachable' | 'too-big'; sequence: number; mtu?: number }): void {
    const quote = Buffer.alloc(28);
    writeIpHeader(quote, {
      source: OWN,
      destination: PEER,
      protocol: IP_PROTOCOL.tcp,
      payloadBytes: 8,
      hopLimit: 64,
    });
    quote.writeUInt16BE(this.#localPort, 20);
    quote.writeUInt16BE(this.#remotePort, 22);
    quote.writeInt32BE((this.#ownStart + message.sequence) | 0, 24);
    const packet = Buffer.alloc(56);
    writeIpHeader(packet, {
      source: PEER,
      destination: OWN,
      protocol: IP_PROTOCOL.icmp,
      payloadBytes: 36,
      hopLimit: 64,
    });
    writeIcmp(packet, 20, { type: 'port-unreachable', rest: message.mtu ?? 0, body: quote });
    if (message.error === 'too-big') {
      packet[21] = 4;
      packet.writeUInt16BE(0, 22);
      packet.writeUInt16BE(finishChecksum(addToChecksum(0, packet, 20, packet.length)), 22);
    }
    this.stack.receive(packet, this.now);
  }

  /** Lets time pass, with every timer on the way. */
  wait(ms: number): void {
    const until = this.now + ms;
    while (this.stack.nextWake() <= until) {
      this.now = Math.max(this.now, this.stack.nextWake());
      this.stack.tick(this.now);
    }
    this.now = until;
  }

  /** What came out since the last call. */
  take(): SentSegmentView[] {
    const ip = createIpPacket();
    const packets = this.#out;
    this.#out = [];
    return packets.map((packet) => {
      const raw = createTcpSegment();
      assert.ok(readIpPacket(packet, ip) && readTcp(packet, ip, raw), 'what leaves has right checksums');
      if ((raw.flags & TCP_FLAG.syn) !== 0) this.#ownStart = raw.sequence;
      return {
        flags: Object.entries(LETTERS)
          .filter(([, bit]) => (raw.flags & bit) !== 0)
          .map(([letter]) => letter)
          .join(''),
        sequence: (raw.sequence - this.#ownStart) | 0,
        ack: (raw.acknowledgment - PEER_START) | 0,
        data: packet.toString('latin1', raw.dataAt, raw.dataEnd),
        raw,
      };
    });
  }

  /** The same as short text: `flags sequence+length ack`. */
  takeText(): string[] {
    return this.take().map(({ flags, sequence, ack, data }) => `${flags} ${sequence}+${data.length} ${ack}`);
  }

  /** What the application has to read now. */
  read(): string {
    let text = '';
    for (let chunk = this.connection?.read(); chunk; chunk = this.connection?.read())
      text += chunk.toString('latin1');
    this.connection?.noteRead(this.now);
    return text;
  }

  write(text: string): number {
    assert.ok(this.connection);
    const taken = this.connection.write(Buffer.from(text), 0);
    this.connection.flush(this.now);
    return taken;
  }
}
