/**
 * The certificate of a public listener for which the operator has none: self-signed, made once in
 * the state folder, so that clients can be told to trust this file, or its fingerprint, and nothing
 * else. Made again only when it nears its end or lacks a configured name.
 */
import { readFile, rename, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { createSelfSignedCertificate, readCertificate } from '../../crypto/index.ts';
import type { TlsMaterial } from '../../net/index.ts';
import { parseIp, type IpAddress } from '../../wire/ip.ts';

export interface SelfSigned {
  readonly material: TlsMaterial;
  /** SHA-256: `AB:CD:…`. */
  readonly fingerprint: string;
  /** What clients are told to trust. */
  readonly file: string;
  /** It did not exist before, or was replaced: clients that trusted a former one must be told. */
  readonly isNew: boolean;
}

export interface SelfSignedFileOptions {
  readonly stateDir: string;
  /** Names that it must have. */
  readonly names: readonly string[];
  /** Names and addresses that it gets besides when it is made. */
  readonly besides: readonly string[];
  readonly clock: Clock;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** The most that Apple's systems accept of a certificate that a person trusted by hand. */
const VALID_DAYS = 825;
const RENEW_DAYS = 30;

export async function ensureSelfSigned(options: SelfSignedFileOptions): Promise<SelfSigned> {
  const folder = join(options.stateDir, 'tls');
  const file = join(folder, 'public-cert.pem');
  const keyFile = join(folder, 'public-key.pem');
  const found = await readFound(file, keyFile, options);
  if (found !== null) return { ...found, file, isNew: false };
  const material = make(options);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  /* The key first: a certificate without its key would be used, and fail. */
  await replaceFile(keyFile, material.key, 0o600);
  await replaceFile(file, material.cert, 0o644);
  return { material, fingerprint: readCertificate(material.cert)?.fingerprint ?? '', file, isNew: true };
}

async function readFound(
  file: string,
  keyFile: string,
  { names, clock }: SelfSignedFileOptions,
): Promise<Pick<SelfSigned, 'material' | 'fingerprint'> | null> {
  const [cert, key] = await Promise.all([readOrNull(file), readOrNull(keyFile)]);
  const facts = cert === null ? null : readCertificate(cert);
  if (cert === null || key === null || facts === null) return null;
  if (facts.notAfter - clock.now() < RENEW_DAYS * DAY_MS) return null;
  if (!names.every((name) => parseIp(name) !== null || facts.covers(name))) return null;
  return { material: { cert, key }, fingerprint: facts.fingerprint };
}

function make({ names, besides, clock }: SelfSignedFileOptions): TlsMaterial {
  const all = [...new Set([...names, ...besides])];
  const addresses = all.flatMap((name) => parseIp(name) ?? []);
  const now = clock.now();
  return createSelfSignedCertificate({
    commonName: 'Postern',
    names: all.filter((name) => parseIp(name) === null),
    addresses: addresses.map(addressBytes),
    /* Clients whose clock is a little late. */
    notBefore: now - DAY_MS,
    notAfter: now + (VALID_DAYS - 1) * DAY_MS,
  });
}

function addressBytes(ip: IpAddress): Uint8Array {
  const length = ip.family === 4 ? 4 : 16;
  return Buffer.from(ip.value.toString(16).padStart(length * 2, '0'), 'hex');
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}

async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const fresh = `${path}.new`;
  await writeFile(fresh, text, { mode });
  await rename(fresh, path);
}
