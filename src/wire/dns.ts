/**
 * DNS messages (RFC 1035 section 4; EDNS, RFC 6891): what a small answerer reads and writes, and what
 * a client needs of an answer. Numbers are big-endian.
 *
 *   offset  bytes  what
 *   0       2      id
 *   2       2      QR 1 bit, opcode 4, AA 1, TC 1, RD 1, RA 1, Z 1, AD 1, CD 1, rcode 4
 *   4       8      counts of questions, answers, authorities, additionals
 *   12      …      questions: name, type (2), class (2)
 *           …      records: name, type (2), class (2), TTL (4), length (2), data
 *
 *   A name is labels of 1 to 63 bytes after a length byte, ended by a zero byte or by a pointer (two
 *   bytes, the first two bits set) to an earlier place in the message.
 *
 * Left out: zones, DNSSEC, TCP framing (the caller's), data of types other than A, AAAA, CNAME, PTR
 * and TXT, which are given as bytes.
 */
import { type IpAddress } from './ip.ts';

export const DNS_TYPE = {
  a: 1,
  ns: 2,
  cname: 5,
  soa: 6,
  ptr: 12,
  txt: 16,
  aaaa: 28,
  opt: 41,
  https: 65,
  any: 255,
} as const;
export const DNS_CLASS_IN = 1;
export const DNS_RCODE = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/** RFC 1035 section 2.3.4: without EDNS nobody takes a longer datagram. */
export const DNS_UDP_MAX_BYTES = 512;
/** RFC 1035 section 2.3.4: of a name's text, without the last dot. */
const DNS_NAME_MAX_CHARS = 253;

const HEADER_BYTES = 12;
const LABEL_MAX_BYTES = 63;
/** Of one message; more than any honest one has. */
const QUESTIONS_MAX = 8;
const RECORDS_MAX = 256;
/** A pointer leads backwards only, and a name has at most 127 labels: more is a loop. */
const POINTERS_MAX = 127;

export interface DnsQuestion {
  /** Lower-case, without the last dot; the root is empty. Bytes that no host name has are `\ddd`. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export type DnsData =
  | { readonly kind: 'address'; readonly ip: IpAddress }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'text'; readonly texts: readonly Buffer[] }
  | { readonly kind: 'other'; readonly bytes: Buffer };

export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Seconds. */
  readonly ttlSec: number;
  readonly data: DnsData;
}

export interface DnsMessage {
  readonly id: number;
  readonly isAnswer: boolean;
  /** 0 is an ordinary query. */
  readonly opcode: number;
  readonly isAuthoritative: boolean;
  /** TC: there was more than fits a datagram. */
  readonly isTruncated: boolean;
  readonly wantsRecursion: boolean;
  readonly offersRecursion: boolean;
  readonly rcode: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  /** What the sender takes by UDP, by its OPT record; null without EDNS. Never below 512. */
  readonly udpMaxBytes: number | null;
}

/** A message, or null if it is malformed in any part that is read here. */
export function parseDnsMessage(bytes: Buffer): DnsMessage | null {
  if (bytes.length < HEADER_BYTES) return null;
  const flags = bytes.readUInt16BE(2);
  const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const [questionCount = 0, answerCount = 0, authorityCount = 0, additionalCount = 0] = counts;
  if (questionCount > QUESTIONS_MAX || answerCount + authorityCount + additionalCount > RECORDS_MAX)
    return null;
  const reader = new Reader(bytes);
  const questions: DnsQuestion[] = [];
  for (let i = 0; i < questionCount; i += 1) {
    const question = reader.question();
    if (question === null) return null;
    questions.push(question);
  }
  const answers: DnsRecord[] = [];
  let udpMaxBytes: number | null = null;
  for (let i = 0; i < answerCount + authorityCount + additionalCount; i += 1) {
    const record = reader.record();
    if (record === null) return null;
    if (i < answerCount) answers.push(record);
    if (i >= answerCount + authorityCount && record.type === DNS_TYPE.opt) {
      udpMaxBytes = Math.max(DNS_UDP_MAX_BYTES, record.class);
    }
  }
  return {
    id: bytes.readUInt16BE(0),
    isAnswer: (flags & 0x8000) !== 0,
    opcode: (flags >>> 11) & 0xf,
    isAuthoritative: (flags & 0x0400) !== 0,
    isTruncated: (flags & 0x0200) !== 0,
    wantsRecursion: (flags & 0x0100) !== 0,
    offersRecursion: (flags & 0x0080) !== 0,
    rcode: flags & 0xf,
    questions,
    answers,
    udpMaxBytes,
  };
}

class Reader {
  readonly #bytes: Buffer;
  #at = HEADER_BYTES;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  question(): DnsQuestion | null {
    const name = this.#name();
    if (name === null || this.#at + 4 > this.#bytes.length) return null;
    const type = this.#bytes.readUInt16BE(this.#at);
    const classOf = this.#bytes.readUInt16BE(this.#at + 2);
    this.#at += 4;
    return { name, type, class: classOf };
  }

  record(): DnsRecord | null {
    const name = this.#name();
    if (name === null || this.#at + 10 > this.#bytes.length) return null;
    const type = this.#bytes.readUInt16BE(this.#at);
    const classOf = this.#bytes.readUInt16BE(this.#at + 2);
    const ttlSec = this.#bytes.readUInt32BE(this.#at + 4);
    const start = this.#at + 10;
    const end = start + this.#bytes.readUInt16BE(this.#at + 8);
    if (end > this.#bytes.length) return null;
    this.#at = start;
    const data = this.#data(type, end);
    this.#at = end;
    /* RFC 2181 section 8: a TTL with its first bit set counts as zero. */
    return data === null
      ? null
      : { name, type, class: classOf, ttlSec: ttlSec > 0x7fffffff ? 0 : ttlSec, data };
  }

  #data(type: number, end: number): DnsData | null {
    const bytes = this.#bytes.subarray(this.#at, end);
    switch (type) {
      case DNS_TYPE.a:
        if (bytes.length !== 4) return null;
        return { kind: 'address', ip: { family: 4, value: BigInt(bytes.readUInt32BE(0)) } };
      case DNS_TYPE.aaaa:
        if (bytes.length !== 16) return null;
        return {
          kind: 'address',
          ip: { family: 6, value: (bytes.readBigUInt64BE(0) << 64n) | bytes.readBigUInt64BE(8) },
        };
      case DNS_TYPE.ns:
      case DNS_TYPE.cname:
      case DNS_TYPE.ptr: {
        const name = this.#name();
        return name === null || this.#at !== end ? null : { kind: 'name', name };
      }
      case DNS_TYPE.txt:
        return readTexts(bytes);
      default:
        return { kind: 'other', bytes };
    }
  }

  /** The name here; moves on past it. Null if it is malformed, too long, or points forwards. */
  #name(): string | null {
    const labels: string[] = [];
    let chars = 0;
    let at = this.#at;
    let after: number | null = null;
    for (let pointers = 0; pointers <= POINTERS_MAX;) {
      const length = this.#bytes[at];
      if (length === undefined) return null;
      if (length === 0) {
        this.#at = after ?? at + 1;
        return labels.join('.');
      }
      if (length >= 0xc0) {
        const low = this.#bytes[at + 1];
        if (low === undefined) return null;
        const target = ((length & 0x3f) << 8) | low;
        if (target >= at) return null;
        after ??= at + 2;
        at = target;
        pointers += 1;
        continue;
      }
      if (length > LABEL_MAX_BYTES || at + 1 + length > this.#bytes.length) return null;
      chars += length + 1;
      if (chars > DNS_NAME_MAX_CHARS + 1) return null;
      labels.push(labelText(this.#bytes.subarray(at + 1, at + 1 + length)));
      at += 1 + length;
    }
    return null;
  }
}

/** Lower-case; a dot, a backslash or a byte outside printable ASCII is `\ddd` (RFC 1035 section 5.1). */
function labelText(label: Buffer): string {
  let text = '';
  for (const byte of label) {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
    text += isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`;
  }
  return text.toLowerCase();
}

function readTexts(bytes: Buffer): DnsData | null {
  const texts: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = at + 1 + (bytes[at] ?? 0);
    if (end > bytes.length) return null;
    texts.push(bytes.subarray(at + 1, end));
    at = end;
  }
  return { kind: 'text', texts };
}

export interface DnsQuery {
  readonly id: number;
  readonly question: DnsQuestion;
}

/** An ordinary question that asks for recursion, without EDNS. Null if the name cannot be encoded. */
export function encodeDnsQuery({ id, question }: DnsQuery): Buffer | null {
  const name = encodeDnsName(question.name);
  if (name === null) return null;
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(0x0100, 2);
  head.writeUInt16BE(1, 4);
  return Buffer.concat([head, name, uint16s(question.type, question.class)]);
}

export interface DnsAnswer {
  readonly rcode: number;
  /** Of the zone that answers. */
  readonly isAuthoritative: boolean;
  /** Their names are the question's; `class` is IN. */
  readonly answers: readonly { readonly type: number; readonly ttlSec: number; readonly data: DnsData }[];
}

/**
 * The answer to a query that was parsed, at most `maxBytes` long: records that do not fit are left
 * out and TC says so. Only the first question is answered. Null where the query has no question.
 */
export function encodeDnsAnswer(query: DnsMessage, answer: DnsAnswer, maxBytes: number): Buffer | null {
  const question = query.questions[0];
  const name = question === undefined ? null : encodeDnsName(question.name);
  if (question === undefined || name === null) return null;
  const opt = query.udpMaxBytes === null ? Buffer.alloc(0) : encodeOpt();
  const parts = [Buffer.alloc(HEADER_BYTES), name, uint16s(question.type, question.class)];
  let length = HEADER_BYTES + name.length + 4 + opt.length;
  let count = 0;
  for (const record of answer.answers) {
    const bytes = encodeRecord(record);
    if (bytes === null || length + bytes.length > maxBytes) break;
    parts.push(bytes);
    length += bytes.length;
    count += 1;
  }
  const isTruncated = count < answer.answers.length;
  const flags =
    0x8000 |
    (query.opcode << 11) |
    (answer.isAuthoritative ? 0x0400 : 0) |
    (isTruncated ? 0x0200 : 0) |
    (query.wantsRecursion ? 0x0100 : 0) |
    answer.rcode;
  const message = Buffer.concat([...parts, opt]);
  message.writeUInt16BE(query.id, 0);
  message.writeUInt16BE(flags, 2);
  message.writeUInt16BE(1, 4);
  message.writeUInt16BE(count, 6);
  message.writeUInt16BE(opt.length === 0 ? 0 : 1, 10);
  return message;
}

/** Its name is a pointer to the question's. */
function encodeRecord({ type, ttlSec, data }: DnsAnswer['answers'][number]): Buffer | null {
  const bytes = encodeData(data);
  if (bytes === null || bytes.length > 0xffff) return null;
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(DNS_CLASS_IN, 4);
  head.writeUInt32BE(ttlSec, 6);
  head.writeUInt16BE(bytes.length, 10);
  return Buffer.concat([head, bytes]);
}

function encodeData(data: DnsData): Buffer | null {
  if (data.kind === 'name') return encodeDnsName(data.name);
  if (data.kind === 'other') return data.bytes;
  if (data.kind === 'text') {
    if (data.texts.some((text) => text.length > 255)) return null;
    return Buffer.concat(data.texts.flatMap((text) => [Uint8Array.of(text.length), text]));
  }
  return Buffer.from(data.ip.value.toString(16).padStart(data.ip.family === 4 ? 8 : 32, '0'), 'hex');
}

/** An empty OPT record: we take 1,232 bytes, which pass any path (RFC 6891 section 6.2.5). */
function encodeOpt(): Buffer {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16BE(DNS_TYPE.opt, 1);
  bytes.writeUInt16BE(1232, 3);
  return bytes;
}

/** A name in wire form, uncompressed; a last dot is allowed. Null if a label or the whole is too long or empty. */
export function encodeDnsName(name: string): Buffer | null {
  const trimmed = name.endsWith('.') ? name.slice(0, -1) : name;
  if (trimmed === '') return Buffer.from([0]);
  const parts: Buffer[] = [];
  let length = 1;
  for (const label of trimmed.split('.')) {
    const bytes = labelBytes(label);
    if (bytes === null || bytes.length === 0 || bytes.length > LABEL_MAX_BYTES) return null;
    parts.push(Buffer.from([bytes.length]), bytes);
    length += 1 + bytes.length;
    if (length > DNS_NAME_MAX_CHARS + 2) return null;
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function labelBytes(label: string): Buffer | null {
  if (!/^(?:[!-[\]-~]|\\[0-9]{3})*$/.test(label)) return null;
  const bytes: number[] = [];
  for (const [, plain, escaped] of label.matchAll(/([^\\])|\\([0-9]{3})/g)) {
    const byte = plain === undefined ? Number(escaped) : plain.charCodeAt(0);
    if (byte > 255) return null;
    bytes.push(byte);
  }
  return Buffer.from(bytes);
}

function uint16s(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index);
  return bytes;
}
