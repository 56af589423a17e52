/**
 * X.509 certificates (RFC 5280): reads what matters of one, and makes a self-signed one for a
 * listener that has none. Elliptic curve P-256 with ECDSA and SHA-256; version 3; for servers only.
 * Left out: authorities, requests, revocation.
 */
import { generateKeyPairSync, hash, sign, X509Certificate } from 'node:crypto';

/** PEM text. */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

export interface SelfSignedOptions {
  /** Shown as the subject; 1 to 64 characters. */
  readonly commonName: string;
  /** Host names, ASCII. */
  readonly names: readonly string[];
  /** Addresses: 4 bytes, or 16. */
  readonly addresses: readonly Uint8Array[];
  /** Unix milliseconds; the certificate counts whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CertificateFacts {
  /** Unix milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 over the certificate: `AB:CD:…`. */
  readonly fingerprint: string;
  /** Whether it names this host; wildcards count. */
  covers(name: string): boolean;
}

/** The first certificate of a PEM text; null if there is none. */
export function readCertificate(pem: string): CertificateFacts | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return null;
  }
  return {
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    fingerprint: certificate.fingerprint256,
    covers: (name) => certificate.checkHost(name) !== undefined,
  };
}

/** A new key, and a certificate for it that is signed with it. */
export function createSelfSignedCertificate(options: SelfSignedOptions): CertificatePair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const publicInfo = publicKey.export({ type: 'spki', format: 'der' });
  const subject = sequence(set(sequence(OID_COMMON_NAME, utf8(options.commonName))));
  const body = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(hash('sha256', publicInfo, 'buffer').subarray(0, 16)),
    sequence(OID_ECDSA_WITH_SHA256),
    subject,
    sequence(time(options.notBefore), time(options.notAfter)),
    subject,
    publicInfo,
    explicit(3, sequence(...extensions(options))),
  );
  const certificate = sequence(
    body,
    sequence(OID_ECDSA_WITH_SHA256),
    bitString(0, sign('sha256', body, privateKey)),
  );
  return {
    cert: pem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

/** RFC 5280 section 4.2: no authority, signs handshakes, identifies a server, and its names. */
function extensions({ names, addresses }: SelfSignedOptions): Buffer[] {
  const alternatives = [
    ...names.map((name) => tagged(0x82, Buffer.from(name, 'ascii'))),
    ...addresses.map((address) => tagged(0x87, address)),
  ];
  return [
    sequence(OID_BASIC_CONSTRAINTS, TRUE, octets(sequence())),
    sequence(OID_KEY_USAGE, TRUE, octets(bitString(7, Buffer.of(0x80)))),
    sequence(OID_EXTENDED_KEY_USAGE, octets(sequence(OID_SERVER_AUTH))),
    ...(alternatives.length === 0 ? [] : [sequence(OID_SUBJECT_ALT_NAME, octets(sequence(...alternatives)))]),
  ];
}

/** 1.2.840.10045.4.3.2 (RFC 5758 section 3.2). */
const OID_ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');
/** 2.5.4.3 */
const OID_COMMON_NAME = Buffer.from('0603550403', 'hex');
/** 2.5.29.19 */
const OID_BASIC_CONSTRAINTS = Buffer.from('0603551d13', 'hex');
/** 2.5.29.15 */
const OID_KEY_USAGE = Buffer.from('0603551d0f', 'hex');
/** 2.5.29.37 */
const OID_EXTENDED_KEY_USAGE = Buffer.from('0603551d25', 'hex');
/** 2.5.29.17 */
const OID_SUBJECT_ALT_NAME = Buffer.from('0603551d11', 'hex');
/** 1.3.6.1.5.5.7.3.1 */
const OID_SERVER_AUTH = Buffer.from('06082b06010505070301', 'hex');
const TRUE = Buffer.from('0101ff', 'hex');

/** Distinguished Encoding Rules (X.690): a tag, the length, the content. */
function tagged(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.of(tag, ...lengthBytes(content.length)), content]);
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}

function sequence(...contents: readonly Uint8Array[]): Buffer {
  return tagged(0x30, ...contents);
}

function set(content: Uint8Array): Buffer {
  return tagged(0x31, content);
}

function octets(content: Uint8Array): Buffer {
  return tagged(0x04, content);
}

function utf8(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text, 'utf8'));
}

function explicit(tag: number, content: Uint8Array): Buffer {
  return tagged(0xa0 + tag, content);
}

/** Positive: a leading zero byte keeps the sign bit clear; needless zeros are left out. */
function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(start < 0 ? bytes.length - 1 : start);
  return tagged(0x02, (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

function bitString(unusedBits: number, bits: Uint8Array): Buffer {
  return tagged(0x03, Buffer.of(unusedBits), bits);
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
function time(unixMs: number): Buffer {
  const digits = new Date(unixMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  const isLate = Number(digits.slice(0, 4)) >= 2050;
  return tagged(isLate ? 0x18 : 0x17, Buffer.from(isLate ? digits : digits.slice(2), 'ascii'));
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
