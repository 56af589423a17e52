/**
 * Numbers of payment cards (ISO/IEC 7812-1): an issuer's range, its length and Luhn's check digit, written
 * without breaks or in groups parted by one blank or hyphen each.
 */
import type { Scan } from '../../llm/scan.ts';
import type { Detection } from '../detection.ts';
import { scanEach, scanMatches, type DigitWindow } from './digit-windows.ts';

/** First digits and lengths, as the schemes publish them; numbers of 13 digits have not been issued for decades. */
const ISSUERS: readonly (readonly [first: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^(?:6011|64[4-9]|65)/, [16, 17, 18, 19]],
  [/^(?:30[0-5]|3095|36|38|39)/, [14, 16]],
  [/^35(?:2[89]|[3-8])/, [16, 17, 18, 19]],
  [/^62/, [16, 17, 18, 19]],
  [/^220[0-4]/, [16]],
  [/^(?:50|5[6-8]|6304|6390|67)/, [16, 18, 19]],
];

const GROUPS = /(?<![\w.])\d{3,19}(?:[ -]\d{2,7}){0,6}(?!\w)/g;
const DIGITS_MAX = 19;

/** Every card number of a text. */
export function* scanCards(text: string, windows: readonly DigitWindow[]): Scan<readonly Detection[]> {
  const groups = yield* scanMatches(text, windows, GROUPS);
  return yield* scanEach(groups, ({ start, value }) => cardsIn(start, value));
}

/** A match may have further numbers beside the card: an expiry date, a code. */
function cardsIn(at: number, value: string): readonly Detection[] {
  const groups = [...value.matchAll(/\d+/g)].map((group) => ({ start: group.index, digits: group[0] }));
  for (let first = 0; first < groups.length; first += 1) {
    let digits = '';
    for (let last = first; last < groups.length; last += 1) {
      const group = groups[last];
      const head = groups[first];
      if (group === undefined || head === undefined) break;
      digits += group.digits;
      if (digits.length > DIGITS_MAX) break;
      if (!isCard(digits)) continue;
      const end = at + group.start + group.digits.length;
      return [{ start: at + head.start, end, kind: 'card', confidence: 'checked' }];
    }
  }
  return [];
}

function isCard(digits: string): boolean {
  if (digits.length < 14 || /^(\d)\1*$/.test(digits)) return false;
  return (
    ISSUERS.some(([first, lengths]) => lengths.includes(digits.length) && first.test(digits)) &&
    hasLuhn(digits)
  );
}

/** Luhn's check (ISO/IEC 7812-1 annex B) over digits, the check digit last. */
export function hasLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 0x30;
    const weighted = i % 2 === 1 ? digit * 2 : digit;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return sum % 10 === 0;
}
