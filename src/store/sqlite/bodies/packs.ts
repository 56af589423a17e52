/**
 * Packs: what a transaction brings of one principal is compressed and sealed together, because
 * starting a compressor and a cipher costs more than most items do, and because texts of one
 * exchange compress better together.
 *
 * A pack, opened: 1 byte how the rest is packed (0 as it is, 1 zstd), then the pieces one after
 * another. Where each piece lies is told by the tables `body_items` and `bodies`.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { open, seal } from '../../../crypto/index.ts';
import { storeError } from '../../errors.ts';
import { bytesOf, intOf } from '../columns.ts';
import type { Database } from '../database.ts';
import { ITEM_BYTES_MAX } from './split.ts';

/** Where a piece lies. */
export interface Place {
  readonly pack: number;
  readonly start: number;
  readonly length: number;
}

/** A pack is closed at this size: to read one piece of it costs opening all of it, about 0.2 ms. */
const PACK_BYTES = 128 * 1024;
/** A pack that was not yet closed, and one more piece. */
const PACK_BYTES_MAX = PACK_BYTES + ITEM_BYTES_MAX;
/** Packs that a reader keeps open, at most 36 MiB, mostly 4. */
const OPEN_PACKS = 32;
/** Below this, compression seldom gains. */
const COMPRESS_BYTES_MIN = 64;
/** Level 3: three times as fast as 6 for 3 % more bytes on agents' messages. */
const ZSTD_LEVEL = 3;
const PACKED_RAW = 0;
const PACKED_ZSTD = 1;

interface OpenPack {
  readonly id: number;
  readonly tailnet: string;
  readonly principal: string;
  readonly pieces: Uint8Array[];
  size: number;
}

/** Collects the pieces of one transaction. `close` must be called before its end. */
export class PackWriter {
  readonly #database: Database;
  readonly #key: Uint8Array;
  /** By tailnet and principal. */
  readonly #open = new Map<string, OpenPack>();
  /** The pack of the last piece: pieces of one owner mostly come together. */
  #last: OpenPack | null = null;
  #lastId: number | null = null;

  constructor(database: Database, key: Uint8Array) {
    this.#database = database;
    this.#key = key;
  }

  /** Adds a piece, of at most `ITEM_BYTES_MAX`; the bytes must not change until `close`. */
  add(tailnet: string, principal: string, piece: Uint8Array): Place {
    const pack = this.#packOf(tailnet, principal);
    const place = { pack: pack.id, start: pack.size, length: piece.byteLength };
    pack.pieces.push(piece);
    pack.size += piece.byteLength;
    if (pack.size >= PACK_BYTES) {
      this.#write(pack);
      this.#open.delete(ownerOf(pack));
      this.#last = null;
    }
    return place;
  }

  #packOf(tailnet: string, principal: string): OpenPack {
    const last = this.#last;
    if (last !== null && last.tailnet === tailnet && last.principal === principal) return last;
    const owner = ownerOf({ tailnet, principal });
    const pack = this.#open.get(owner) ?? { id: this.#nextId(), tailnet, principal, pieces: [], size: 0 };
    this.#open.set(owner, pack);
    this.#last = pack;
    return pack;
  }

  /** Writes the packs that are not full. */
  close(): void {
    for (const pack of this.#open.values()) this.#write(pack);
    this.#open.clear();
    this.#last = null;
  }

  #nextId(): number {
    if (this.#lastId === null) {
      const row = this.#database.prepare('SELECT coalesce(max(id), 0) AS id FROM body_packs').get();
      this.#lastId = row === undefined ? 0 : intOf(row, 'id');
    }
    this.#lastId += 1;
    return this.#lastId;
  }

  #write(pack: OpenPack): void {
    this.#database
      .prepare('INSERT INTO body_packs (id, tailnet, principal, sealed) VALUES (?, ?, ?, ?)')
      .run(
        pack.id,
        pack.tailnet,
        pack.principal,
        seal(this.#key, compress(pack), context(pack.tailnet, pack.id)),
      );
  }
}

/** Reads pieces of one tailnet, and keeps the last packs open meanwhile. */
export class PackReader {
  readonly #database: Database;
  readonly #key: Uint8Array;
  readonly #tailnet: string;
  readonly #open = new Map<number, Uint8Array>();

  constructor(database: Database, key: Uint8Array, tailnet: string) {
    this.#database = database;
    this.#key = key;
    this.#tailnet = tailnet;
  }

  /** The bytes of a piece. Throws `store_corrupt`, `crypto_open_failed`. */
  read(place: Place): Uint8Array {
    const bytes = this.#open.get(place.pack) ?? this.#openPack(place.pack);
    const end = place.start + place.length;
    if (place.start < 0 || end > bytes.byteLength) {
      throw storeError('store_corrupt', `a piece lies beyond the end of pack ${place.pack}`);
    }
    return bytes.subarray(place.start, end);
  }

  #openPack(id: number): Uint8Array {
    const row = this.#database
      .prepare('SELECT sealed FROM body_packs WHERE id = ? AND tailnet = ?')
      .get(id, this.#tailnet);
    if (row === undefined) throw storeError('store_corrupt', `pack ${id} of stored bodies is missing`);
    const bytes = decompress(open(this.#key, bytesOf(row, 'sealed'), context(this.#tailnet, id)));
    this.#open.set(id, bytes);
    const [oldest] = this.#open.keys();
    if (this.#open.size > OPEN_PACKS && oldest !== undefined) this.#open.delete(oldest);
    return bytes;
  }
}

function ownerOf({ tailnet, principal }: { readonly tailnet: string; readonly principal: string }): string {
  return JSON.stringify([tailnet, principal]);
}

function compress(pack: OpenPack): Uint8Array {
  const raw = Buffer.concat([Buffer.of(PACKED_RAW), ...pack.pieces]);
  if (pack.size < COMPRESS_BYTES_MIN) return raw;
  const compressed = zstdCompressSync(raw.subarray(1), {
    params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
  });
  return compressed.byteLength < pack.size ? Buffer.concat([Buffer.of(PACKED_ZSTD), compressed]) : raw;
}

function decompress(packed: Uint8Array): Uint8Array {
  const rest = packed.subarray(1);
  if (packed[0] === PACKED_RAW) return rest;
  if (packed[0] === PACKED_ZSTD) return zstdDecompressSync(rest, { maxOutputLength: PACK_BYTES_MAX });
  throw storeError('store_corrupt', 'a pack of stored bodies is packed in an unknown way');
}

function context(tailnet: string, id: number): string {
  return JSON.stringify(['body-pack', tailnet, id]);
}
