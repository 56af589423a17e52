/**
 * Keys as the control protocol writes them: a prefix for the kind and 64 lower-case hex digits. Within
 * this program a public key is the 64 digits alone.
 */

/** Kinds of keys, by their prefix. */
export type KeyKind = 'mkey' | 'nodekey' | 'discokey' | 'privkey' | 'chalpub' | 'nlpub';

/** 64 lower-case hex digits: 32 bytes. */
export type KeyHex = string;

const ZERO: KeyHex = '0'.repeat(64);
const KEY_HEX = /^[0-9a-f]{64}$/;

/** The digits of `kind:digits`; null if it is something else, or the zero key, which stands for none. */
export function parseKeyText(kind: KeyKind, text: unknown): KeyHex | null {
  if (typeof text !== 'string' || text.length !== kind.length + 1 + 64 || !text.startsWith(`${kind}:`))
    return null;
  const hex = text.slice(kind.length + 1);
  return KEY_HEX.test(hex) && hex !== ZERO ? hex : null;
}

export function formatKeyText(kind: KeyKind, key: KeyHex | Buffer): string {
  return `${kind}:${typeof key === 'string' ? key : key.toString('hex')}`;
}

/** `kind:` and 64 zeros: how "no key" is written where a field may not be missing. */
export function zeroKeyText(kind: KeyKind): string {
  return `${kind}:${ZERO}`;
}
