/**
 * Keys of services by their shape, found in any text: for guardrails and for the search for keys that
 * lie about. The shapes are in `key-format-table.ts`.
 *
 * One pass finds runs of 16 and more characters that keys are made of; only there a shape is tried.
 * Every quantifier is bounded, so the time is linear in the text. Left out: keys without any shape
 * (32 hexadecimal digits and their like), unless a name such as `api_key` stands before them.
 */
import {
  AZURE_CLIENT,
  AZURE_KEY_MIN,
  AZURE_OPENAI,
  KEY_FORMATS,
  TELEGRAM,
  type KeyFormat,
} from './key-format-table.ts';
import { finishScan, SCAN_STEP_CHARS, type Scan } from './scan.ts';

/** `checked`: its checksum agrees. `format`: the shape is the service's own. `heuristic`: a name and much entropy. */
export type KeyConfidence = 'checked' | 'format' | 'heuristic';

/** A key in a text; offsets in UTF-16 units, end exclusive. */
export interface FoundKey {
  readonly start: number;
  readonly end: number;
  /** Whose key: `openai`, `github`; `generic` where only its surroundings tell. */
  readonly service: string;
  /** Small letters, digits and `_`, unique in the table: `github_token`. */
  readonly kind: string;
  readonly confidence: KeyConfidence;
}

type Prefixed = readonly [prefix: string, format: KeyFormat];

/** Formats by the first character of a prefix. */
const BY_FIRST: readonly (readonly Prefixed[] | undefined)[] = tabulate();

function tabulate(): readonly (readonly Prefixed[] | undefined)[] {
  const byFirst: Prefixed[][] = [];
  for (const format of KEY_FORMATS)
    for (const prefix of format.prefixes) (byFirst[prefix.charCodeAt(0)] ??= []).push([prefix, format]);
  return byFirst;
}

/** Characters of a run: letters, digits, `_` and `-`. A run ends at anything else. */
const IN_RUN = new Uint8Array(128);
for (const sign of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-')
  IN_RUN[sign.charCodeAt(0)] = 1;

/** Shorter runs hold no key: an access key id of AWS has 20 signs, the shortest header of a JWT 19. */
const RUN_MIN = 16;
/** Characters between two pauses where the end of a run is looked for. */
const RUN_STEP_CHARS = 65_536;
/** More are not listed: by then everything is to be changed. */
const FOUND_MAX = 10_000;

/** Every key in a text, in order, without overlaps; at most 10,000. Total, and linear in the text. */
export function findKeys(text: string): FoundKey[] {
  return finishScan(scanKeys(text));
}

/** The same with pauses, for long texts. */
export function* scanKeys(text: string): Scan<FoundKey[]> {
  const found: FoundKey[] = [];
  const blocks = yield* scanKeyBlocks(text);
  let pauseAt = SCAN_STEP_CHARS;
  let done = 0;
  let nextBlock = 0;
  // A run of 16 covers one of every 16 places: only those are looked at, and what is around them.
  let probe = RUN_MIN - 1;
  while (probe < text.length && found.length < FOUND_MAX) {
    if (probe >= pauseAt) {
      yield;
      pauseAt = probe + SCAN_STEP_CHARS;
    }
    if (!isInRun(text, probe)) {
      probe += RUN_MIN;
      continue;
    }
    let start = probe;
    while (start > 0 && isInRun(text, start - 1)) start -= 1;
    let end = probe + 1;
    while (end < text.length && isInRun(text, end)) {
      end += 1;
      if (end % RUN_STEP_CHARS === 0) yield;
    }
    probe = end + RUN_MIN;
    if (end - start < RUN_MIN) continue;
    for (let block = blocks[nextBlock]; block !== undefined && block.start < end; block = blocks[nextBlock]) {
      if (block.start >= done) {
        found.push(block);
        done = block.end;
      }
      nextBlock += 1;
    }
    if (end > done) done = yield* scanRun(text, { start: Math.max(start, done), end }, done, found);
  }
  for (const block of blocks.slice(nextBlock)) if (block.start >= done) found.push(block);
  return found;
}

function isInRun(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code < 128 && IN_RUN[code] === 1;
}

interface Run {
  readonly start: number;
  readonly end: number;
}

/** Looks for keys that begin in a run, or just before it (`SG.`); gives the offset after the last. */
function* scanRun(text: string, run: Run, done: number, found: FoundKey[]): Scan<number> {
  let free = done;
  let pauseAt = run.start + SCAN_STEP_CHARS;
  for (let at = Math.max(free, run.start - lookBack(text, run)); at < run.end; at += 1) {
    if (at >= pauseAt) {
      yield;
      pauseAt = at + SCAN_STEP_CHARS;
    }
    const key = readAt(text, at, run);
    if (key === null) continue;
    found.push(key);
    free = key.end;
    at = key.end - 1;
  }
  if (free > run.start) return free;
  const named = readNamed(text, run, free);
  if (named === null) return free;
  found.push(named);
  return named.end;
}

/** Characters before a run that may belong to a key: `xoxe.`, `AccountKey=`, a bot's number, `abc8Q~`. */
function lookBack(text: string, run: Run): number {
  return '.:=/~'.includes(text.charAt(run.start - 1)) && run.start > 0 ? LOOK_BACK : 0;
}

const LOOK_BACK = 11;
/** What an escape before a key adds to its run: `u003d`. */
const ESCAPE_MAX = 5;

function readAt(text: string, at: number, run: Run): FoundKey | null {
  const candidates = BY_FIRST[text.charCodeAt(at)];
  if (candidates !== undefined && isKeyBorder(text, at)) {
    for (const [prefix, format] of candidates) {
      if (!text.startsWith(prefix, at)) continue;
      // Long ones are tried only where a run begins, or many beginnings in one run would cost much.
      if (format.kind === 'jwt' && at > run.start + ESCAPE_MAX) continue;
      const key = readRest(text, at, at + prefix.length, format);
      if (key !== null) return key;
    }
  }
  if (at > run.start + ESCAPE_MAX) return null;
  const shaped = shapeAt(text, run);
  return shaped === null || !isKeyBorder(text, at) ? null : readRest(text, at, at, shaped);
}

/** The format without a prefix that a run could be part of. */
function shapeAt(text: string, run: Run): KeyFormat | null {
  if (run.end - run.start >= AZURE_KEY_MIN) return AZURE_OPENAI;
  const before = text.charCodeAt(run.start - 1);
  if (before === COLON) return TELEGRAM;
  return before === TILDE ? AZURE_CLIENT : null;
}

function readRest(text: string, start: number, restAt: number, format: KeyFormat): FoundKey | null {
  format.rest.lastIndex = restAt;
  if (!format.rest.test(text)) return null;
  const end = format.rest.lastIndex;
  const { service, kind, check } = format;
  const isChecked = check?.(text.slice(start, end)) ?? false;
  return { start, end, service, kind, confidence: isChecked ? 'checked' : 'format' };
}

/**
 * Whether a key may begin here: not within a word, but after an escape of a quoted text (`\n`,
 * `%3D`), whose last letter only looks like a word's.
 */
function isKeyBorder(text: string, at: number): boolean {
  if (at === 0) return true;
  const before = text.charCodeAt(at - 1);
  const isWord =
    (before >= 0x30 && before <= 0x39) ||
    (before >= 0x41 && before <= 0x5a) ||
    (before >= 0x61 && before <= 0x7a);
  if (!isWord) return true;
  if (text.charCodeAt(at - 2) === BACKSLASH && 'nrtbf'.includes(text.charAt(at - 1))) return true;
  if (at >= 3 && text.charCodeAt(at - 3) === PERCENT && /^[0-9A-Fa-f]{2}$/.test(text.slice(at - 2, at)))
    return true;
  return at >= 6 && /^\\u[0-9A-Fa-f]{4}$/.test(text.slice(at - 6, at));
}

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const COLON = 0x3a;
const TILDE = 0x7e;

/** Names before a value that say it is secret, and what may stand between. */
const SECRET_NAME =
  /(?:secret|token|passw(?:or)?d|passwd|api[_.-]?key|apikey|access[_.-]?key|private[_.-]?key|auth[_.-]?key|account[_.-]?key|credential|client[_.-]?secret)[\w.-]{0,16}["'`\\]{0,3}[ \t]{0,4}(?:=>|:=|[:=])[ \t]{0,4}(?:Bearer[ \t]{1,2}|Basic[ \t]{1,2})?["'`\\]{0,3}$/i;
const AUTHORIZATION =
  /authorization["'`\\]{0,3}[ \t]{0,4}[:=][ \t]{0,4}["'`\\]{0,3}(?:bearer|basic|token)[ \t]{1,4}$/i;
/** Characters before a value in which its name is looked for. */
const NAME_WINDOW = 80;
/** The value goes on over what keys of no known shape have beside a run's characters. */
const VALUE = /[\w+/.~-]{16,512}={0,2}/y;
/** Bits for each character: words have below 3, random letters and digits above 3.5. */
const ENTROPY_MIN = 3.3;
/** A placeholder of a redacted value is no secret. */
const PLACEHOLDER = /^[A-Z][A-Z0-9_]*_[0-9a-f]{12,24}$/i;

/** A value of much entropy behind a name such as `api_key`. */
function readNamed(text: string, run: Run, free: number): FoundKey | null {
  if (!hasDigit(text, run)) return null;
  let start = run.start;
  while (start > free && start > run.start - LOOK_BACK && VALUE_SIGN.test(text.charAt(start - 1))) start -= 1;
  if (!MAY_NAME.test(text.slice(Math.max(0, start - 8), start))) return null;
  const before = text.slice(Math.max(0, start - NAME_WINDOW), start);
  if (!SECRET_NAME.test(before) && !AUTHORIZATION.test(before)) return null;
  VALUE.lastIndex = start;
  if (!VALUE.test(text)) return null;
  const end = VALUE.lastIndex;
  const value = text.slice(start, end);
  if (!/\d/.test(value) || !/[A-Za-z]/.test(value) || PLACEHOLDER.test(value)) return null;
  if (entropy(value) < ENTROPY_MIN) return null;
  return { start, end, service: 'generic', kind: 'secret', confidence: 'heuristic' };
}

function hasDigit(text: string, run: Run): boolean {
  for (let at = run.start; at < run.end; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) return true;
  }
  return false;
}

/** What may stand just before a value, so that most runs need no look for a name. */
const MAY_NAME = /[:=>rc"'`\s\\]$/i;
const VALUE_SIGN = /[\w+/.~-]/;

/** Shannon's entropy of a text's characters, in bits for each. */
function entropy(value: string): number {
  const counts = new Map<string, number>();
  for (const sign of value) counts.set(sign, (counts.get(sign) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits;
}

const BEGIN = '-----BEGIN ';
const END = '-----END ';
const BEGIN_KEY = /-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----/y;
const END_LINE = /-----END [A-Z0-9 ]{0,60}-----/y;
/** Longest private key in PEM: RSA with 16,384 bits has some 13,000 signs. */
export const KEY_BLOCK_MAX = 20_000;
/** A header in source code or prose is no key: what follows must have a line of data soon. */
const DATA_LINE = /[A-Za-z0-9+/=]{24}/;
const DATA_WITHIN = 400;
/** Headers between two pauses. */
const BLOCKS_STEP = 64;
/** Lines of a cut key go on while they look like base64, whatever stands for their ends. */
const DATA = /[A-Za-z0-9+/=\s\\"',:-]{0,20000}/y;

/** Private keys in PEM (RFC 7468) and OpenPGP (RFC 9580), cut ones included. */
function* scanKeyBlocks(text: string): Scan<FoundKey[]> {
  const found: FoundKey[] = [];
  let headers = 0;
  let endLine = -2;
  for (let at = text.indexOf(BEGIN); at >= 0 && found.length < FOUND_MAX;) {
    headers += 1;
    if (headers % BLOCKS_STEP === 0) yield;
    BEGIN_KEY.lastIndex = at;
    const isKey = BEGIN_KEY.test(text);
    const bodyAt = isKey ? BEGIN_KEY.lastIndex : at + BEGIN.length;
    if (!isKey || !DATA_LINE.test(text.slice(bodyAt, bodyAt + DATA_WITHIN))) {
      at = text.indexOf(BEGIN, bodyAt);
      continue;
    }
    // Looked for once for all headers before it, so that many headers cost no more than few.
    if (endLine !== -1 && endLine < bodyAt) endLine = text.indexOf(END, bodyAt);
    const end = blockEnd(text, bodyAt, endLine);
    found.push({ start: at, end, service: 'pem', kind: 'private_key', confidence: 'format' });
    at = text.indexOf(BEGIN, end);
  }
  return found;
}

function blockEnd(text: string, bodyAt: number, endLine: number): number {
  if (endLine >= 0 && endLine - bodyAt <= KEY_BLOCK_MAX) {
    END_LINE.lastIndex = endLine;
    return END_LINE.test(text) ? END_LINE.lastIndex : endLine;
  }
  DATA.lastIndex = bodyAt;
  return DATA.test(text) ? DATA.lastIndex : bodyAt;
}
