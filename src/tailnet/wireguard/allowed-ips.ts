/**
 * Which peer an inner address belongs to (white paper, section 2, "cryptokey routing"): longest
 * prefix first, for both families. A path-compressed binary trie over 32-bit words; a lookup
 * reads the address from the packet and allocates nothing.
 */
import type { Cidr } from '../../wire/ip.ts';

const WORD_BITS = 32;

interface TrieNode<Owner> {
  /** One word (IPv4) or four (IPv6); the bits below `prefixLength` are zero. */
  readonly words: Uint32Array;
  readonly prefixLength: number;
  /** Null for a node that only joins two branches. */
  owner: Owner | null;
  zero: TrieNode<Owner> | null;
  one: TrieNode<Owner> | null;
}

/** Prefixes and their owners. A prefix has one owner: the last that took it. */
export class AllowedIps<Owner> {
  #root4: TrieNode<Owner> | null = null;
  #root6: TrieNode<Owner> | null = null;
  readonly #scratch4 = new Uint32Array(1);
  readonly #scratch6 = new Uint32Array(4);

  /** Gives a prefix to an owner, also if another has it. */
  insert(cidr: Cidr, owner: Owner): void {
    const words = wordsOf(cidr);
    if (cidr.family === 4)
      this.#root4 = insertBelow(this.#root4, { words, length: cidr.prefixLength, owner });
    else this.#root6 = insertBelow(this.#root6, { words, length: cidr.prefixLength, owner });
  }

  /** Takes a prefix from an owner; does nothing if it belongs to another by now. */
  remove(cidr: Cidr, owner: Owner): void {
    const words = wordsOf(cidr);
    if (cidr.family === 4)
      this.#root4 = removeBelow(this.#root4, { words, length: cidr.prefixLength, owner });
    else this.#root6 = removeBelow(this.#root6, { words, length: cidr.prefixLength, owner });
  }

  /** The owner of the IPv4 address at `offset`, or null. */
  find4(packet: Buffer, offset: number): Owner | null {
    this.#scratch4[0] = packet.readUInt32BE(offset);
    return findBelow(this.#root4, this.#scratch4);
  }

  /** The owner of the IPv6 address at `offset`, or null. */
  find6(packet: Buffer, offset: number): Owner | null {
    for (let word = 0; word < 4; word += 1) this.#scratch6[word] = packet.readUInt32BE(offset + 4 * word);
    return findBelow(this.#root6, this.#scratch6);
  }
}

interface Entry<Owner> {
  readonly words: Uint32Array;
  readonly length: number;
  readonly owner: Owner;
}

function wordsOf(cidr: Cidr): Uint32Array {
  const words = new Uint32Array(cidr.family === 4 ? 1 : 4);
  let rest = cidr.base;
  for (let word = words.length - 1; word >= 0; word -= 1) {
    words[word] = Number(rest & 0xffff_ffffn);
    rest >>= 32n;
  }
  return words;
}

function bitAt(words: Uint32Array, index: number): boolean {
  const word = words[Math.floor(index / WORD_BITS)] ?? 0;
  return ((word >>> (WORD_BITS - 1 - (index % WORD_BITS))) & 1) === 1;
}

/** Leading bits that two addresses share, at most `limit`. */
function sharedBits(a: Uint32Array, b: Uint32Array, limit: number): number {
  for (let word = 0; word * WORD_BITS < limit; word += 1) {
    const difference = (a[word] ?? 0) ^ (b[word] ?? 0);
    if (difference !== 0) return Math.min(limit, word * WORD_BITS + Math.clz32(difference));
  }
  return limit;
}

function findBelow<Owner>(root: TrieNode<Owner> | null, words: Uint32Array): Owner | null {
  let best: Owner | null = null;
  let node = root;
  const bits = words.length * WORD_BITS;
  while (node !== null && sharedBits(node.words, words, node.prefixLength) === node.prefixLength) {
    if (node.owner !== null) best = node.owner;
    if (node.prefixLength === bits) break;
    node = bitAt(words, node.prefixLength) ? node.one : node.zero;
  }
  return best;
}

/** At most one call per bit of the address deep. */
function insertBelow<Owner>(node: TrieNode<Owner> | null, entry: Entry<Owner>): TrieNode<Owner> {
  const { words, length, owner } = entry;
  if (node === null) return { words, prefixLength: length, owner, zero: null, one: null };
  const shared = sharedBits(node.words, words, Math.min(node.prefixLength, length));
  if (shared === node.prefixLength && shared === length) {
    node.owner = owner;
    return node;
  }
  if (shared === node.prefixLength) {
    if (bitAt(words, shared)) node.one = insertBelow(node.one, entry);
    else node.zero = insertBelow(node.zero, entry);
    return node;
  }
  const leaf: TrieNode<Owner> = { words, prefixLength: length, owner, zero: null, one: null };
  if (shared === length) {
    attach(leaf, node);
    return leaf;
  }
  const joint: TrieNode<Owner> = {
    words: cut(words, shared),
    prefixLength: shared,
    owner: null,
    zero: null,
    one: null,
  };
  attach(joint, node);
  attach(joint, leaf);
  return joint;
}

function attach<Owner>(parent: TrieNode<Owner>, child: TrieNode<Owner>): void {
  if (bitAt(child.words, parent.prefixLength)) parent.one = child;
  else parent.zero = child;
}

/** The first `length` bits of an address, the rest zero. */
function cut(words: Uint32Array, length: number): Uint32Array {
  return words.map((word, index) => {
    const kept = Math.max(0, Math.min(WORD_BITS, length - index * WORD_BITS));
    return kept === 0 ? 0 : word & (kept === WORD_BITS ? 0xffff_ffff : ~(0xffff_ffff >>> kept));
  });
}

function removeBelow<Owner>(node: TrieNode<Owner> | null, entry: Entry<Owner>): TrieNode<Owner> | null {
  if (node === null) return null;
  const { words, length, owner } = entry;
  if (node.prefixLength > length || sharedBits(node.words, words, node.prefixLength) < node.prefixLength) {
    return node;
  }
  if (node.prefixLength === length) {
    if (node.owner === owner) node.owner = null;
  } else if (bitAt(words, node.prefixLength)) node.one = removeBelow(node.one, entry);
  else node.zero = removeBelow(node.zero, entry);
  if (node.owner !== null || (node.zero !== null && node.one !== null)) return node;
  return node.zero ?? node.one;
}
