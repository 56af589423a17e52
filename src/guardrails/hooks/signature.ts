/**
 * How a hook can tell that a call is ours and whole: `X-Postern-Signature: t=<seconds>,v1=<hex>`,
 * HMAC-SHA-256 over the decimal seconds, a full stop and the body's bytes. The key is the UTF-8 of
 * the hook's signing secret as text. A receiver refuses times that are more than 300 s off.
 */
import { Secret } from '../../base/secret.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { UnixMs } from '../../base/clock.ts';
import { hmacSha256, keyedHash } from '../../crypto/index.ts';

export const SIGNATURE_HEADER = 'x-postern-signature';

/** The value of the header for a body that is sent at `at`. */
export function signBody(secret: Secret, at: UnixMs, body: Uint8Array): string {
  const seconds = String(Math.floor(at / 1000));
  const signed = Buffer.concat([Buffer.from(`${seconds}.`), body]);
  const mac = hmacSha256(Buffer.from(secret.reveal(), 'utf8'), signed);
  return `t=${seconds},v1=${Buffer.from(mac).toString('hex')}`;
}

/**
 * The secret of one hook at one address, made from the process's key for hooks: another address, or
 * another hook, gets another secret. 256 bits, as text.
 */
export function deriveSigningSecret(key: Uint8Array, hook: string, url: string): Secret {
  const { origin } = new URL(url);
  const bytes = keyedHash(key, Buffer.from('sign'), Buffer.from(hook), Buffer.from(origin));
  return new Secret(`whs_${encodeBase32(bytes)}`);
}
