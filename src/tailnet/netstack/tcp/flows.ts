/** Connections by their addresses and ports. */
import type { TcpBlock } from './block.ts';

export class FlowTable {
  readonly #seed: number;
  readonly #buckets = new Map<number, TcpBlock[]>();
  #size = 0;

  /** `seed`: 32 random bits, so that nobody outside knows what falls into one bucket. */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  /** The addresses are `bytes[localAt, localAt + length)` and `bytes[remoteAt, remoteAt + length)`. */
  find(flow: FlowKey): TcpBlock | undefined {
    const bucket = this.#buckets.get(this.#hash(flow.bytes, flow.remoteAt, flow.length, flow.ports));
    if (bucket === undefined) return undefined;
    for (const block of bucket) {
      if (((block.localPort << 16) | block.remotePort) !== flow.ports) continue;
      if (!equals(block.remoteAddress, flow.bytes, flow.remoteAt, flow.length)) continue;
      if (equals(block.localAddress, flow.bytes, flow.localAt, flow.length)) return block;
    }
    return undefined;
  }

  add(block: TcpBlock): void {
    const hash = this.#hashOf(block);
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [block]);
    else bucket.push(block);
    this.#size += 1;
  }

  remove(block: TcpBlock): void {
    const hash = this.#hashOf(block);
    const bucket = this.#buckets.get(hash);
    const index = bucket?.indexOf(block) ?? -1;
    if (bucket === undefined || index < 0) return;
    if (bucket.length === 1) this.#buckets.delete(hash);
    else bucket.splice(index, 1);
    this.#size -= 1;
  }

  /** All connections, in no order; may be changed meanwhile. */
  all(): TcpBlock[] {
    return [...this.#buckets.values()].flat();
  }

  #hashOf(block: TcpBlock): number {
    const ports = (block.localPort << 16) | block.remotePort;
    return this.#hash(block.remoteAddress, 0, block.remoteAddress.length, ports);
  }

  #hash(bytes: Buffer, at: number, length: number, ports: number): number {
    let hash = Math.imul(ports ^ this.#seed, 0x9e3779b1);
    for (let index = at; index < at + length; index += 4) {
      const word =
        ((bytes[index] ?? 0) << 24) |
        ((bytes[index + 1] ?? 0) << 16) |
        ((bytes[index + 2] ?? 0) << 8) |
        (bytes[index + 3] ?? 0);
      hash = Math.imul(hash ^ (hash >>> 15) ^ word, 0x85ebca6b);
    }
    return hash ^ (hash >>> 13);
  }
}

/** One flow as a packet or an owner names it; `ports` is local and remote, 16 bits each. */
export interface FlowKey {
  readonly bytes: Buffer;
  readonly localAt: number;
  readonly remoteAt: number;
  /** 4 or 16. */
  readonly length: number;
  readonly ports: number;
}

/** Whether `bytes[at, at + length)` is `address`. */
export function equals(address: Buffer, bytes: Buffer, at: number, length: number): boolean {
  if (address.length !== length) return false;
  for (let index = 0; index < length; index += 1) if (address[index] !== bytes[at + index]) return false;
  return true;
}
