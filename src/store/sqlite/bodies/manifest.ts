/**
 * The manifest: what makes up the two bodies of an exchange, in order.
 *
 * | part              | encoding                                                            |
 * | ----------------- | ------------------------------------------------------------------- |
 * | version           | 1 byte, 2                                                           |
 * | flags             | 1 byte; bit 0: the answer was cut off at the capture limit          |
 * | request id        | varint n + 1, then n bytes of UTF-8                                 |
 * | request type      | the same; 0 is null                                                 |
 * | answer type       | the same                                                            |
 * | request items     | varint count, then each id as zigzag difference from the former     |
 * | answer pieces     | varint count, then pack, start and length of each, three varints    |
 *
 * In version 1, which is still read, the answer was a list of item ids like the request. Varints
 * are little-endian groups of 7 bits (as in Protocol Buffers) of integers below 2^53. Ids of one
 * conversation mostly follow each other, so most items take one byte.
 */
import { storeError } from '../../errors.ts';
import type { Place } from './packs.ts';

const VERSION = 2;
const VERSION_ITEM_ANSWERS = 1;
const FLAG_TRUNCATED = 1;
/** Of an integer below 2^53. */
const VARINT_BYTES_MAX = 8;

export interface Manifest {
  /** Whose manifest it is, so that one that was put in another's place is noticed. */
  readonly requestId: string;
  readonly requestItems: readonly number[];
  readonly requestContentType: string | null;
  readonly responsePieces: readonly Place[];
  readonly responseContentType: string | null;
  readonly responseTruncated: boolean;
}

/** As read: the answer of a version 1 manifest is told by items. */
export interface ReadManifest extends Manifest {
  readonly responseItems: readonly number[];
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { requestId, requestContentType, responseContentType, requestItems, responsePieces } = manifest;
  const texts = [requestId, requestContentType, responseContentType];
  const textBytes = texts.reduce((sum, text) => sum + VARINT_BYTES_MAX + 3 * (text?.length ?? 0), 0);
  const varints = 2 + requestItems.length + 3 * responsePieces.length;
  const bytes = Buffer.allocUnsafe(2 + textBytes + varints * VARINT_BYTES_MAX);
  bytes[0] = VERSION;
  bytes[1] = manifest.responseTruncated ? FLAG_TRUNCATED : 0;
  let at = 2;
  for (const text of texts) at = writeText(bytes, at, text);
  at = writeItems(bytes, at, requestItems);
  at = writeVarint(bytes, at, responsePieces.length);
  for (const { pack, start, length } of responsePieces) {
    at = writeVarint(bytes, at, pack);
    at = writeVarint(bytes, at, start);
    at = writeVarint(bytes, at, length);
  }
  return bytes.subarray(0, at);
}

/** Throws `store_corrupt` for bytes that no version of `encodeManifest` made. */
export function decodeManifest(bytes: Uint8Array): ReadManifest {
  const reader = { bytes, at: 2 };
  const [version, flags = 0] = bytes;
  if (version !== VERSION && version !== VERSION_ITEM_ANSWERS) throw corrupt();
  const manifest = {
    responseTruncated: (flags & FLAG_TRUNCATED) !== 0,
    requestId: readText(reader) ?? '',
    requestContentType: readText(reader),
    responseContentType: readText(reader),
    requestItems: readItems(reader),
    responseItems: version === VERSION_ITEM_ANSWERS ? readItems(reader) : [],
    responsePieces: version === VERSION_ITEM_ANSWERS ? [] : readPieces(reader),
  };
  if (reader.at !== bytes.byteLength) throw corrupt();
  return manifest;
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
}

function writeItems(bytes: Buffer, start: number, ids: readonly number[]): number {
  let at = writeVarint(bytes, start, ids.length);
  let former = 0;
  for (const id of ids) {
    const difference = id - former;
    at = writeVarint(bytes, at, difference < 0 ? -difference * 2 - 1 : difference * 2);
    former = id;
  }
  return at;
}

function readItems(reader: Reader): number[] {
  const count = readCount(reader);
  const ids: number[] = [];
  let former = 0;
  for (let i = 0; i < count; i += 1) {
    const zigzag = readVarint(reader);
    former += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    ids.push(former);
  }
  return ids;
}

function readPieces(reader: Reader): Place[] {
  const count = readCount(reader);
  const pieces: Place[] = [];
  for (let i = 0; i < count; i += 1) {
    pieces.push({ pack: readVarint(reader), start: readVarint(reader), length: readVarint(reader) });
  }
  return pieces;
}

/** Each thing takes a byte at least, so a damaged count cannot ask for more memory than there are bytes. */
function readCount(reader: Reader): number {
  const count = readVarint(reader);
  if (count > reader.bytes.byteLength - reader.at) throw corrupt();
  return count;
}

function writeText(bytes: Buffer, start: number, text: string | null): number {
  if (text === null) return writeVarint(bytes, start, 0);
  const at = writeVarint(bytes, start, Buffer.byteLength(text, 'utf8') + 1);
  return at + bytes.write(text, at, 'utf8');
}

function readText(reader: Reader): string | null {
  const length = readVarint(reader) - 1;
  if (length < 0) return null;
  if (length > reader.bytes.byteLength - reader.at) throw corrupt();
  const utf8 = reader.bytes.subarray(reader.at, reader.at + length);
  reader.at += length;
  return Buffer.from(utf8).toString('utf8');
}

/** Arithmetic instead of shifts, which end at 32 bits. Gives the offset behind what was written. */
function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at] = (rest % 0x80) + 0x80;
    at += 1;
    rest = Math.floor(rest / 0x80);
  }
  bytes[at] = rest;
  return at + 1;
}

function readVarint(reader: Reader): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < VARINT_BYTES_MAX; i += 1) {
    const byte = reader.bytes[reader.at];
    if (byte === undefined) throw corrupt();
    reader.at += 1;
    value += (byte % 0x80) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
  throw corrupt();
}

function corrupt(): Error {
  return storeError('store_corrupt', 'the list of a body’s items is damaged');
}
