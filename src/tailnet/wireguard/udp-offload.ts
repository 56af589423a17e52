/**
 * UDP segmentation offload (Linux, udp(7) `UDP_SEGMENT`): up to 64 datagrams of one length to one place
 * in one system call, which `node:dgram` does not offer. Most of a download's time goes into sending.
 *
 * The only user of `node:ffi` and so the only place where a wrong address could harm the process: the
 * memory that the system reads is one block, made once, that never moves (small typed arrays lie on
 * V8's heap and do), and every offset into it is a constant below. Structures are those of 64-bit
 * little-endian Linux, which glibc and musl lay out alike. Where anything is missing, another system,
 * an older Node.js, an older kernel, there is no offload and nothing else changes.
 */
import { endianness } from 'node:os';
import type * as Ffi from 'node:ffi';
import { parseIp } from '../../wire/ip.ts';

/** Of the kernel (`UDP_MAX_SEGMENTS` of its first releases). */
const SEGMENTS_MAX = 64;
/** What fits into one IP packet before it is cut. */
const BATCH_BYTES_MAX = 65_000;
/** Batches that may fail before the first that succeeds; then the system is taken not to know it. */
const TRIES = 4;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2_000_000;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

/* Where things lie in the block. */
const MESSAGE_AT = 0;
const VECTOR_AT = 64;
const CONTROL_AT = 96;
const ADDRESS_AT = 128;
const OPTION_AT = 192;
const DATA_AT = 256;
const CONTROL_BYTES = 24;
const ADDRESS4_BYTES = 16;
const ADDRESS6_BYTES = 28;

const SIGNATURES = {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  bind: { arguments: ['int32', 'uint64', 'uint32'], return: 'int32' },
  setsockopt: { arguments: ['int32', 'int32', 'int32', 'uint64', 'uint32'], return: 'int32' },
  getsockopt: { arguments: ['int32', 'int32', 'int32', 'uint64', 'uint64'], return: 'int32' },
  sendmsg: { arguments: ['int32', 'uint64', 'int32'], return: 'int64' },
  close: { arguments: ['int32'], return: 'int32' },
} as const;

/** The system's calls, as far as they are used here. */
export type SystemCalls = Ffi.WrappedFunctionsFromDefinitions<typeof SIGNATURES>;

interface System {
  /** Kept as long as the calls are: they end with it. */
  readonly lib: unknown;
  readonly calls: SystemCalls;
  readonly addressOf: (block: ArrayBuffer) => bigint;
}

/** Null where this system or this Node.js has no offload. */
function loadSystem(): System | null {
  const is64BitLinux = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
  if (!is64BitLinux || endianness() !== 'LE') return null;
  try {
    const ffi = process.getBuiltinModule('node:ffi');
    const { lib, functions } = ffi.dlopen(null, SIGNATURES);
    return { lib, calls: functions, addressOf: (block) => ffi.getRawPointer(block) };
  } catch {
    return null;
  }
}

/** A bound UDP socket whose datagrams can be sent many at once. */
export interface OffloadedSocket {
  /** To be given to `node:dgram`, which owns and closes it from then on. */
  readonly fd: number;
  readonly segments: SegmentedSends;
}

/**
 * Binds a socket that can offload; null where that is not to be had or the address cannot be bound, for
 * `node:dgram` to try, which says why. `address` is an IP address.
 */
export function bindOffloaded(family: 4 | 6, address: string, port: number): OffloadedSocket | null {
  const system = loadSystem();
  if (system === null) return null;
  const { calls } = system;
  const block = new ArrayBuffer(DATA_AT + BATCH_BYTES_MAX);
  const memory = Buffer.from(block);
  const base = system.addressOf(block);
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = calls.socket(family === 4 ? AF_INET : AF_INET6, type, 0);
  if (fd < 0) return null;
  const option = base + BigInt(OPTION_AT);
  memory.writeInt32LE(1, OPTION_AT);
  const isSixOnly = family === 4 || calls.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, option, 4) === 0;
  memory.writeInt32LE(4, OPTION_AT + 8);
  const isKnown = calls.getsockopt(fd, SOL_UDP, UDP_SEGMENT, option, option + 8n) === 0;
  const length = writeAddress(memory, family, address, port);
  const isBound = length > 0 && calls.bind(fd, base + BigInt(ADDRESS_AT), length) === 0;
  if (!isSixOnly || !isKnown || !isBound) {
    calls.close(fd);
    return null;
  }
  return { fd, segments: new SegmentedSends({ system, memory, base, fd, family }) };
}

/** Bytes of the socket address that was written, 0 if `address` is none of this family. */
function writeAddress(memory: Buffer, family: 4 | 6, address: string, port: number): number {
  const ip = parseIp(address);
  if (ip?.family !== family) return 0;
  memory.fill(0, ADDRESS_AT, ADDRESS_AT + ADDRESS6_BYTES);
  memory.writeUInt16LE(family === 4 ? AF_INET : AF_INET6, ADDRESS_AT);
  memory.writeUInt16BE(port, ADDRESS_AT + 2);
  if (ip.family === 4) {
    memory.writeUInt32BE(Number(ip.value), ADDRESS_AT + 4);
    return ADDRESS4_BYTES;
  }
  memory.writeBigUInt64BE(ip.value >> 64n, ADDRESS_AT + 8);
  memory.writeBigUInt64BE(BigInt.asUintN(64, ip.value), ADDRESS_AT + 16);
  return ADDRESS6_BYTES;
}

export interface SegmentedSendsOptions {
  readonly system: { readonly calls: Pick<SystemCalls, 'sendmsg'> };
  /** The block, and where it lies. */
  readonly memory: Buffer;
  readonly base: bigint;
  readonly fd: number;
  readonly family: 4 | 6;
}

/** Sends lists of datagrams of one length, of which the last may be shorter. */
export class SegmentedSends {
  readonly #options: SegmentedSendsOptions;
  #place = '';
  #addressBytes = 0;
  #triesLeft = TRIES;
  #works = false;

  constructor(options: SegmentedSendsOptions) {
    this.#options = options;
  }

  /** False once the system has shown that it does not know it. */
  get isUsable(): boolean {
    return this.#works || this.#triesLeft > 0;
  }

  /** Whether the system took them all. If not it took none. `address` is an IP address. */
  send(datagrams: readonly Buffer[], address: string, port: number): boolean {
    const { system, memory, base, fd, family } = this.#options;
    const place = `${address} ${port}`;
    if (place !== this.#place) {
      this.#addressBytes = writeAddress(memory, family, address, port);
      this.#place = place;
    }
    const segment = datagrams[0]?.byteLength ?? 0;
    if (segment === 0 || this.#addressBytes === 0) return false;
    let length = 0;
    for (const datagram of datagrams) length += datagram.copy(memory, DATA_AT + length);
    this.#describe(length, segment);
    const isSent = system.calls.sendmsg(fd, base + BigInt(MESSAGE_AT), 0) === BigInt(length);
    if (isSent) this.#works = true;
    else this.#triesLeft -= 1;
    return isSent;
  }

  /** `struct msghdr` with one vector and one control message (sendmsg(2), cmsg(3)). */
  #describe(length: number, segment: number): void {
    const { memory, base } = this.#options;
    memory.writeBigUInt64LE(base + BigInt(ADDRESS_AT), MESSAGE_AT);
    memory.writeBigUInt64LE(BigInt(this.#addressBytes), MESSAGE_AT + 8);
    memory.writeBigUInt64LE(base + BigInt(VECTOR_AT), MESSAGE_AT + 16);
    memory.writeBigUInt64LE(1n, MESSAGE_AT + 24);
    memory.writeBigUInt64LE(base + BigInt(CONTROL_AT), MESSAGE_AT + 32);
    memory.writeBigUInt64LE(BigInt(CONTROL_BYTES), MESSAGE_AT + 40);
    memory.writeBigUInt64LE(base + BigInt(DATA_AT), VECTOR_AT);
    memory.writeBigUInt64LE(BigInt(length), VECTOR_AT + 8);
    /* The length of a control message is that of its header and its data, without padding. */
    memory.writeBigUInt64LE(18n, CONTROL_AT);
    memory.writeInt32LE(SOL_UDP, CONTROL_AT + 8);
    memory.writeInt32LE(UDP_SEGMENT, CONTROL_AT + 12);
    memory.writeUInt16LE(segment, CONTROL_AT + 16);
  }
}

/**
 * Collects what goes to one place until something else comes: another place, a longer datagram, one
 * after a shorter one, or the bounds of one system call.
 */
export class SegmentRun {
  readonly datagrams: Buffer[] = [];
  address = '';
  port = 0;
  #segment = 0;
  #bytes = 0;
  #isEnded = false;

  /** Whether the datagram was taken; if not, send and `clear` first. */
  take(datagram: Buffer, address: string, port: number): boolean {
    const length = datagram.byteLength;
    if (this.datagrams.length === 0) {
      this.address = address;
      this.port = port;
      this.#segment = length;
    } else if (!this.#fits(length, address, port)) return false;
    this.datagrams.push(datagram);
    this.#bytes += length;
    this.#isEnded = length < this.#segment;
    return true;
  }

  #fits(length: number, address: string, port: number): boolean {
    return (
      !this.#isEnded &&
      length <= this.#segment &&
      port === this.port &&
      address === this.address &&
      this.datagrams.length < SEGMENTS_MAX &&
      this.#bytes + length <= BATCH_BYTES_MAX
    );
  }

  clear(): void {
    this.datagrams.length = 0;
    this.#bytes = 0;
    this.#isEnded = false;
  }
}
