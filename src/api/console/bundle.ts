/**
 * The built console as it is served: read once, whole, into memory, and bounded. Every file has
 * been compressed by the build (`console/vite.config.ts`), which also names files by their content.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { AppError } from '../../base/errors.ts';
import { sha256Hex } from '../../crypto/index.ts';

/** What stands in the built page where a fresh nonce goes. */
export const NONCE_MARK = 'POSTERN_NONCE';

/** Far above what the console has: some 100 files, 4 MiB with their compressed forms. */
const FILES_MAX = 1_000;
const TOTAL_MAX_BYTES = 32 * 1024 * 1024;

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** Content codings, the best first. */
export const CODINGS = ['br', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];
const ENDINGS: Readonly<Record<Coding, string>> = { br: '.br', gzip: '.gz' };

/** A file below /assets/, whose name changes with its content. */
export interface ConsoleAsset {
  readonly mediaType: string;
  readonly etag: string;
  readonly identity: Buffer<ArrayBuffer>;
  /** The same compressed; absent where that would not be smaller. */
  readonly coded: ReadonlyMap<Coding, Buffer<ArrayBuffer>>;
}

export interface ConsoleBundle {
  /** The one page, cut at the places where its nonce goes. */
  readonly page: readonly string[];
  /** By name below /assets/. */
  readonly assets: ReadonlyMap<string, ConsoleAsset>;
}

export type ConsoleErrorCode = 'console_missing' | 'console_invalid';

/** Why there is no console to serve. */
export class ConsoleError extends AppError<ConsoleErrorCode> {}

/** Reads a built folder. Throws `ConsoleError`. */
export function loadConsole(folder: string): ConsoleBundle {
  const html = readPage(join(folder, 'index.html'));
  const assets = readAssets(join(folder, 'assets'));
  const page = html.split(NONCE_MARK);
  if (page.length < 3)
    throw new ConsoleError(
      'console_invalid',
      `the console in ${folder} has no place for a nonce; build it again`,
    );
  for (const [, name = ''] of html.matchAll(/"\/assets\/([^"]+)"/g))
    if (!assets.has(name))
      throw new ConsoleError('console_invalid', `the console in ${folder} lacks ${name}; build it again`);
  return { page, assets };
}

function readPage(file: string): string {
  try {
    if (statSync(file).size <= TOTAL_MAX_BYTES) return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConsoleError('console_missing', 'the console is not built', { cause: error });
  }
  throw new ConsoleError('console_invalid', `${file} is larger than ${TOTAL_MAX_BYTES} bytes`);
}

function readAssets(folder: string): ReadonlyMap<string, ConsoleAsset> {
  const names = listed(folder);
  if (names.length > FILES_MAX)
    throw new ConsoleError('console_invalid', `${folder} has more than ${FILES_MAX} files`);
  const total = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  if (total > TOTAL_MAX_BYTES)
    throw new ConsoleError('console_invalid', `${folder} holds more than ${TOTAL_MAX_BYTES} bytes`);
  const present = new Set(names);
  const assets = new Map<string, ConsoleAsset>();
  for (const name of names) {
    const mediaType = MEDIA_TYPES[extname(name)];
    if (mediaType === undefined) continue;
    const identity = readFileSync(join(folder, name));
    const coded = new Map<Coding, Buffer<ArrayBuffer>>();
    for (const coding of CODINGS) {
      const file = `${name}${ENDINGS[coding]}`;
      if (present.has(file)) coded.set(coding, readFileSync(join(folder, file)));
    }
    assets.set(name, { mediaType, etag: `"${sha256Hex(identity).slice(0, 32)}"`, identity, coded });
  }
  return assets;
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw new ConsoleError('console_missing', 'the console is not built', { cause: error });
  }
}
