/**
 * How much of a stream's end must wait: what could still be the beginning of a find. All else flows. With
 * built-in detectors that is the last word, a row of number groups, an open private key; with custom
 * patterns what the pattern can reach.
 */
import { KEY_BLOCK_MAX } from '../llm/key-formats.ts';
import type { CompiledEntries } from './compile-entries.ts';
import type { PatternReach } from './pattern-reach.ts';

/** A word that is longer flows on: in a stream, longer keys and tokens are not found. */
export const WORD_HOLD_MAX = 16_384;
/** Groups of one number and their length: a NIR in groups has seven, an IBAN nine. */
const GROUPS_MAX = 14;
const GROUPS_LENGTH_MAX = 80;
/** Longest way of speaking that `injection` knows. */
const PHRASE_MAX = 240;

const WORD_DETECTORS = ['secrets', 'email', 'phone', 'card', 'iban', 'national_id'];
const NUMBER_DETECTORS = ['phone', 'card', 'iban', 'national_id'];

/** The offset from which `text` must wait for more. */
export type HoldRule = (text: string) => number;

/** The rules that these entries need. */
export function holdRules({ detectorNames, reaches }: CompiledEntries): readonly HoldRule[] {
  const rules: HoldRule[] = [];
  if (WORD_DETECTORS.some((name) => detectorNames.has(name))) rules.push(wordStart);
  if (NUMBER_DETECTORS.some((name) => detectorNames.has(name))) rules.push(numberStart);
  if (detectorNames.has('secrets')) rules.push(keyBlockStart);
  if (detectorNames.has('injection')) rules.push(phraseStart);
  for (const reach of reaches) rules.push((text) => patternStart(text, reach));
  return rules;
}

/** The last word: signs of ASCII without a blank. */
function wordStart(text: string): number {
  let at = text.length;
  while (at > 0 && isWordSign(text.charCodeAt(at - 1))) at -= 1;
  return text.length - at > WORD_HOLD_MAX ? text.length : at;
}

function isWordSign(code: number): boolean {
  return code > 0x20 && code < 0x7f;
}

/** Words of one number: groups of digits, an account's letters between them, brackets. */
const GROUP = /^[+(]{0,2}[A-Za-z0-9()./-]{0,24}$/;
/** What a number may begin with before its first digit has come. */
const OPENING = /^(?:[A-Z]{2}|[+(/-]|\(\d{1,6}\))$/;

/** Groups of numbers at the end, parted by single blanks, from the first that has a digit or opens a number. */
function numberStart(text: string): number {
  const from = Math.max(0, text.length - GROUPS_LENGTH_MAX);
  const words = text.slice(from).split(' ');
  let start = text.length;
  let at = text.length;
  for (let i = words.length - 1, count = 0; i >= 0 && count < GROUPS_MAX; i -= 1, count += 1) {
    const word = words[i] ?? '';
    const isLast = i === words.length - 1;
    at -= word.length;
    const tail = /[^\s\u0080-\uffff]*$/.exec(word)?.[0] ?? '';
    if (/\d/.test(tail) || OPENING.test(tail)) start = at + word.length - tail.length;
    // Something before the group parts it from what stands before.
    if (tail.length < word.length || (word === '' && !isLast)) break;
    if (!isLast && !GROUP.test(word)) break;
    at -= 1;
  }
  return start;
}

const BEGIN = '-----BEGIN ';
const HEADER_MAX = 80;
const END_LINE = /-----END [A-Z0-9 ]{0,60}-----/;

/** A private key whose end has not come. */
function keyBlockStart(text: string): number {
  const begin = text.lastIndexOf(BEGIN);
  if (begin < 0 || text.length - begin > KEY_BLOCK_MAX + HEADER_MAX) return text.length;
  const rest = text.slice(begin + BEGIN.length);
  const headerEnd = rest.indexOf('-----');
  if (headerEnd < 0) return rest.length < HEADER_MAX ? begin : text.length;
  if (!/PRIVATE KEY(?: BLOCK)?$/.test(rest.slice(0, headerEnd))) return text.length;
  return END_LINE.test(rest) ? text.length : begin;
}

const PHRASE_WORDS =
  /\b(?:ignor|disreg|forget|overrid|bypass|do not|don't|stop|reveal|print|show|repeat|output|leak|display|recite|dump|you are|do any|enable|enter|activate|pretend|never|without|send|post|upload|forward|exfil|transmit)|<\||<<|\[\/?I|#{1,3}/i;

/** The first word near the end that one of the known ways of speaking begins with. */
function phraseStart(text: string): number {
  const from = Math.max(0, text.length - PHRASE_MAX);
  const found = PHRASE_WORDS.exec(text.slice(from));
  if (found !== null) return from + found.index;
  // The last word may be such a word in the making.
  return wordStart(text);
}

function patternStart(text: string, { maxLength, prefix }: PatternReach): number {
  const from = Math.max(0, text.length - maxLength);
  if (prefix === '') return from;
  const whole = text.indexOf(prefix, from);
  if (whole >= 0) return whole;
  for (let length = Math.min(prefix.length - 1, text.length); length > 0; length -= 1) {
    if (text.endsWith(prefix.slice(0, length))) return text.length - length;
  }
  return text.length;
}
