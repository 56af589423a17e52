/** Keys for different purposes, derived from one master key (RFC 5869, HKDF with SHA-256). */
import { hkdfSync } from 'node:crypto';
import { assert } from '../base/errors.ts';

/** 32 bytes: what a master key must have at least, and what every derived key has. */
export const KEY_BYTES = 32;

/** Derives the 32-byte key of a purpose. `master` has at least 32 bytes; labels are in `labels.ts`. */
export function deriveKey(master: Uint8Array, label: string): Uint8Array {
  assert(master.byteLength >= KEY_BYTES, `a master key has at least 32 bytes, got ${master.byteLength}`);
  assert(label !== '', 'a derived key has a label');
  return new Uint8Array(hkdfSync('sha256', master, new Uint8Array(0), label, KEY_BYTES));
}

/** The keys of a process. */
export interface Keyring {
  /** The 32-byte key of a purpose; derived once. Never alter the bytes. */
  key(label: string): Uint8Array;
}

/** A keyring over `master` (at least 32 bytes), which it copies and keeps in memory only. */
export function createKeyring(master: Uint8Array): Keyring {
  const own = Uint8Array.from(master);
  const derived = new Map<string, Uint8Array>();
  return {
    key(label) {
      const known = derived.get(label);
      if (known !== undefined) return known;
      const made = deriveKey(own, label);
      derived.set(label, made);
      return made;
    },
  };
}
