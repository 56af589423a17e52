/** Auth keys: with one a device joins without anybody's sign-in. */
import type { UnixMs } from '../../base/clock.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import { keyedHash } from '../../crypto/index.ts';
import type { AuthKeyRecord } from './records.ts';

/** What a key's text begins with, for people and for programs that look for leaked ones. */
const PREFIX = 'pst_auth_';
/** 160 bits. */
const SECRET_BYTES = 20;

export function makeAuthKey(random: Random): Secret {
  return new Secret(`${PREFIX}${encodeBase32(random.bytes(SECRET_BYTES))}`);
}

/** Under which a key is kept and found, hex. */
export function hashAuthKey(hashKey: Uint8Array, text: string): string {
  return Buffer.from(keyedHash(hashKey, Buffer.from(text, 'utf8'))).toString('hex');
}

export function isUsable(key: AuthKeyRecord, now: UnixMs): boolean {
  return key.revokedAt === null && key.expiresAt > now && (key.isReusable || key.usedAt === null);
}
