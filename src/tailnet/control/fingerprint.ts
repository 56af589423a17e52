/** Short texts by which people compare keys. */
import { sha256Hex } from '../../crypto/index.ts';
import type { KeyHex } from '../protocol/index.ts';

/** Of a machine key: 64 bits of its hash in groups of four digits. */
export function fingerprintOf(machineKey: KeyHex): string {
  return sha256Hex(Buffer.from(machineKey, 'hex'))
    .slice(0, 16)
    .replace(/(.{4})(?=.)/g, '$1-');
}
