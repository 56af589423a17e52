/**
 * Bodies as items: the items of a request each once per tailnet, found by keyed hash; an exchange
 * is a manifest of item ids. Bytes lie in packs, compressed and sealed. What the file shows is
 * sizes, and which exchanges share how many items, nothing else.
 */
import { constantTimeEqual, keyedHash } from '../../../crypto/index.ts';
import { storeError } from '../../errors.ts';
import type { StoredBodies } from '../../shapes.ts';
import type { PackedBodies } from '../batch-transfer.ts';
import { bytesOf, intOf, type SqlRow } from '../columns.ts';
import type { Database } from '../database.ts';
import type { ReadBody } from './body-memory.ts';
import { decodeManifest, encodeManifest, type ReadManifest } from './manifest.ts';
import { PackReader, PackWriter, type Place } from './packs.ts';
import { ITEM_BYTES_MAX, responsePieceEnds } from './split.ts';

export interface BodyKeys {
  /** Seals packs. */
  readonly bodyKey: Uint8Array;
  /** Hashes items and conversations. */
  readonly bodyHashKey: Uint8Array;
}

/** 128 bits: with a secret key nobody can search for collisions. */
const HASH_BYTES = 16;

/** Whose bodies they are. */
export interface BodyOwner {
  readonly requestId: string;
  readonly tailnet: string;
  readonly principal: string;
}

/** Stores bodies within one transaction; `close` must be called before its end. */
export class BodyWriter {
  readonly #database: Database;
  readonly #keys: BodyKeys;
  readonly #packs: PackWriter;

  constructor(database: Database, keys: BodyKeys) {
    this.#database = database;
    this.#keys = keys;
    this.#packs = new PackWriter(database, keys.bodyKey);
  }

  /**
   * Adds the bodies of an exchange that has none yet; the bytes must not change until `close`.
   * `read` is the request, read as a whole; the ids of its items are noted there.
   */
  add(owner: BodyOwner, bodies: PackedBodies, read: ReadBody): void {
    const { itemEnds, itemIds } = read;
    for (let i = 0; i < itemEnds.length; i += 1) {
      if (itemIds[i] !== 0) continue;
      const item = bodies.request.subarray(itemEnds[i - 1] ?? 0, itemEnds[i]);
      itemIds[i] = this.#idOf(owner, item);
    }
    // An answer never comes again as the same bytes, so looking for it would be in vain.
    const responsePieces = responsePieceEnds(bodies.response.length).map((end, i, ends) =>
      this.#packs.add(owner.tailnet, owner.principal, bodies.response.subarray(ends[i - 1] ?? 0, end)),
    );
    const manifest = encodeManifest({
      requestId: owner.requestId,
      requestItems: itemIds,
      requestContentType: bodies.requestContentType,
      responsePieces,
      responseContentType: bodies.responseContentType,
      responseTruncated: bodies.responseTruncated,
    });
    if (manifest.byteLength > ITEM_BYTES_MAX)
      throw storeError('store_invalid_row', 'the bodies have too many items');
    const place = this.#packs.add(owner.tailnet, owner.principal, manifest);
    this.#database
      .prepare('INSERT INTO bodies (request_id, tailnet, pack, start, length) VALUES (?, ?, ?, ?, ?)')
      .run(owner.requestId, owner.tailnet, place.pack, place.start, place.length);
  }

  close(): void {
    this.#packs.close();
  }

  /** The id of an item, which is stored if the tailnet does not have it. */
  #idOf({ tailnet, principal }: BodyOwner, item: Uint8Array): number {
    const hash = itemHash(this.#keys, tailnet, item);
    const known = this.#database.prepare('SELECT id FROM body_items WHERE hash = ?').get(hash);
    if (known !== undefined) return intOf(known, 'id');
    const place = this.#packs.add(tailnet, principal, item);
    const { lastInsertRowid } = this.#database
      .prepare('INSERT INTO body_items (hash, pack, start, length) VALUES (?, ?, ?, ?)')
      .run(hash, place.pack, place.start, place.length);
    return Number(lastInsertRowid);
  }
}

/** The bodies of an exchange, byte for byte; null if none are kept. Throws `store_corrupt`, `crypto_open_failed`. */
export function getBodies(
  database: Database,
  keys: BodyKeys,
  tailnet: string,
  requestId: string,
): StoredBodies | null {
  const reader = new BodyReader(database, keys, tailnet);
  const manifest = reader.manifest(requestId);
  if (manifest === null) return null;
  return {
    request: joinItems(manifest.requestItems.map((id) => reader.item(id))),
    requestContentType: manifest.requestContentType,
    response: reader.response(manifest),
    responseContentType: manifest.responseContentType,
    responseTruncated: manifest.responseTruncated,
  };
}

/** Reads bodies of one tailnet; keeps the last packs open between its reads. */
export class BodyReader {
  readonly #database: Database;
  readonly #keys: BodyKeys;
  readonly #tailnet: string;
  readonly #packs: PackReader;

  constructor(database: Database, keys: BodyKeys, tailnet: string) {
    this.#database = database;
    this.#keys = keys;
    this.#tailnet = tailnet;
    this.#packs = new PackReader(database, keys.bodyKey, tailnet);
  }

  /** What the bodies of an exchange are made of; null if none are kept. Throws `store_corrupt`, `crypto_open_failed`. */
  manifest(requestId: string): ReadManifest | null {
    const row = this.#database
      .prepare('SELECT pack, start, length FROM bodies WHERE request_id = ? AND tailnet = ?')
      .get(requestId, this.#tailnet);
    if (row === undefined) return null;
    const manifest = decodeManifest(this.#packs.read(placeOf(row)));
    if (manifest.requestId !== requestId)
      throw storeError('store_corrupt', `${requestId} has the bodies of another exchange`);
    return manifest;
  }

  /** An item by its id. It shares memory with its pack. Throws `store_corrupt`, `crypto_open_failed`. */
  item(id: number): Uint8Array {
    return readItem(this.#database, this.#keys, this.#tailnet, this.#packs, id);
  }

  /** The answer, in an array of its own. Throws `store_corrupt`, `crypto_open_failed`. */
  response(manifest: ReadManifest): Uint8Array {
    return joinItems([
      ...manifest.responseItems.map((id) => this.item(id)),
      ...manifest.responsePieces.map((piece) => this.#packs.read(piece)),
    ]);
  }
}

function readItem(
  database: Database,
  keys: BodyKeys,
  tailnet: string,
  packs: PackReader,
  id: number,
): Uint8Array {
  const row = database.prepare('SELECT hash, pack, start, length FROM body_items WHERE id = ?').get(id);
  if (row === undefined) throw storeError('store_corrupt', `item ${id} of a body is missing`);
  const item = packs.read(placeOf(row));
  if (row['hash'] !== null && !constantTimeEqual(itemHash(keys, tailnet, item), bytesOf(row, 'hash'))) {
    throw storeError('store_corrupt', `item ${id} of a body does not have its hash`);
  }
  return item;
}

const ITEM_PURPOSE = Buffer.from('body-item', 'utf8');

function itemHash(keys: BodyKeys, tailnet: string, item: Uint8Array): Uint8Array {
  return keyedHash(keys.bodyHashKey, ITEM_PURPOSE, Buffer.from(tailnet, 'utf8'), item).subarray(
    0,
    HASH_BYTES,
  );
}

/** One array of its own, not one of a pool: it is cloned to another thread with all that it is part of. */
function joinItems(items: readonly Uint8Array[]): Uint8Array {
  const body = new Uint8Array(items.reduce((sum, item) => sum + item.byteLength, 0));
  let at = 0;
  for (const item of items) {
    body.set(item, at);
    at += item.byteLength;
  }
  return body;
}

function placeOf(row: SqlRow): Place {
  return { pack: intOf(row, 'pack'), start: intOf(row, 'start'), length: intOf(row, 'length') };
}
