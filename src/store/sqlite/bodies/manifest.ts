/**
 * The manifest: which items make up the two bodies of an exchange, in order.
 *
 * | part              | encoding                                                        |
 * | ----------------- | --------------------------------------------------------------- |
 * | version           | 1 byte, 1                                                       |
 * | flags             | 1 byte; bit 0: the answer was cut off at the capture limit      |
 * | request id        | varint n + 1, then n bytes of UTF-8                             |
 * | request type      | the same; 0 is null                                             |
 * | answer type       | the same                                                        |
 * | request items     | varint count, then each id as zigzag difference from the former |
 * | answer items      | the same                                                        |
 *
 * Varints are little-endian groups of 7 bits (as in Protocol Buffers) of integers below 2^53. Ids
 * of one conversation mostly follow each other, so most items take one byte.
 */
import { storeError } from '../../errors.ts';

const VERSION = 1;
const FLAG_TRUNCATED = 1;

export interface Manifest {
  /** Whose manifest it is, so that one that was put in another's place is noticed. */
  readonly requestId: string;
  readonly requestItems: readonly number[];
  readonly requestContentType: string | null;
  readonly responseItems: readonly number[];
  readonly responseContentType: string | null;
  readonly responseTruncated: boolean;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const bytes: number[] = [VERSION, manifest.responseTruncated ? FLAG_TRUNCATED : 0];
  writeText(bytes, manifest.requestId);
  writeText(bytes, manifest.requestContentType);
  writeText(bytes, manifest.responseContentType);
  writeItems(bytes, manifest.requestItems);
  writeItems(bytes, manifest.responseItems);
  return Uint8Array.from(bytes);
}

/** Throws `store_corrupt` for bytes that `encodeManifest` did not make. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const reader = { bytes, at: 2 };
  if (bytes[0] !== VERSION) throw corrupt();
  const manifest = {
    responseTruncated: ((bytes[1] ?? 0) & FLAG_TRUNCATED) !== 0,
    requestId: readText(reader) ?? '',
    requestContentType: readText(reader),
    responseContentType: readText(reader),
    requestItems: readItems(reader),
    responseItems: readItems(reader),
  };
  if (reader.at !== bytes.byteLength) throw corrupt();
  return manifest;
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
}

function writeItems(bytes: number[], ids: readonly number[]): void {
  writeVarint(bytes, ids.length);
  let former = 0;
  for (const id of ids) {
    const difference = id - former;
    writeVarint(bytes, difference < 0 ? -difference * 2 - 1 : difference * 2);
    former = id;
  }
}

function readItems(reader: Reader): number[] {
  const count = readVarint(reader);
  // Each item takes a byte at least, so a damaged count cannot ask for more memory than there are bytes.
  if (count > reader.bytes.byteLength - reader.at) throw corrupt();
  const ids: number[] = [];
  let former = 0;
  for (let i = 0; i < count; i += 1) {
    const zigzag = readVarint(reader);
    former += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    ids.push(former);
  }
  return ids;
}

function writeText(bytes: number[], text: string | null): void {
  if (text === null) {
    bytes.push(0);
    return;
  }
  const utf8 = Buffer.from(text, 'utf8');
  writeVarint(bytes, utf8.byteLength + 1);
  bytes.push(...utf8);
}

function readText(reader: Reader): string | null {
  const length = readVarint(reader) - 1;
  if (length < 0) return null;
  if (length > reader.bytes.byteLength - reader.at) throw corrupt();
  const utf8 = reader.bytes.subarray(reader.at, reader.at + length);
  reader.at += length;
  return Buffer.from(utf8).toString('utf8');
}

/** Arithmetic instead of shifts, which end at 32 bits. */
function writeVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

function readVarint(reader: Reader): number {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 8; i += 1) {
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
