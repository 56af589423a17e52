/**
 * Phone numbers: international ones (ITU-T E.164) and the national ways of writing that nothing else looks
 * like. A bare row of digits counts only behind a word such as `phone`.
 */
import type { Scan } from '../../llm/scan.ts';
import type { Detection } from '../detection.ts';
import { scanEach, scanMatches, type DigitWindow, type WindowMatch } from './digit-windows.ts';

/** Country codes (ITU-T E.164 list): one or two digits; all others have three. */
const SHORT_CODES = /^(?:1|7|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;
const LONG_CODES = /^(?:2[1-69]|3[578]|42|5[09]|6[789]|8[05678]|9[679])\d/;

const INTERNATIONAL =
  /(?<![\w+.])(?:\+|00(?=[1-9]\d{0,2}[ .\-/(]))[1-9]\d{0,3}(?:[ .\-/]?\(?\d{1,6}\)?){1,7}(?![\w])/g;
const NATIONAL: readonly RegExp[] = [
  // North America: area and exchange begin with 2 to 9.
  /(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}(?![\w-])/g,
  // France: five pairs.
  /(?<![\w.+-])0[1-9](?:[ .-]\d{2}){4}(?![\w-])/g,
  // Great Britain: 020 7946 0958, 07700 900123, (0161) 496 0123.
  /(?<![\w.+-])\(?0(?:2\d|1\d{2,3}|7\d{3}|800)\)?[ -]\d{3,4}[ -]?\d{3,4}(?![\w-])/g,
  // Germany, Austria, Switzerland: area code, then a slash, hyphen or blank.
  /(?<![\w.+-])\(?0[1-9]\d{1,4}\)?(?: ?[/-] ?| )\d{2,4}(?:[ -]?\d{2,5}){1,3}(?![\w-])/g,
];
const NAMED = /(?<![\w.+-])\d(?:[ .\-()]{0,2}\d){6,14}(?!\w)/g;
const NAME_BEFORE =
  /(?:phone|telephone|tel|mobile|cell|handy|fax|whatsapp)(?:[ _-]?(?:number|nr|no))?["']?\.?\s{0,2}[:=#]?\s{0,2}["'(]?$/i;
const NAME_WINDOW = 32;
/** E.164 section 6.2.1: at most 15 digits with the country's. */
const DIGITS_MAX = 15;
const DIGITS_MIN = 8;

/** Every phone number of a text. */
export function* scanPhones(text: string, windows: readonly DigitWindow[]): Scan<readonly Detection[]> {
  const found: Detection[] = [];
  const international = yield* scanMatches(text, windows, INTERNATIONAL);
  for (const one of yield* scanEach(international, phoneIf(isInternational))) found.push(one);
  for (const pattern of NATIONAL) {
    const national = yield* scanMatches(text, windows, pattern);
    for (const one of yield* scanEach(national, phoneIf(isNational))) found.push(one);
  }
  const named = yield* scanMatches(text, windows, NAMED);
  const isNamed = ({ start }: WindowMatch): boolean =>
    NAME_BEFORE.test(text.slice(Math.max(0, start - NAME_WINDOW), start));
  for (const one of yield* scanEach(named, phoneIf(isNamed))) found.push(one);
  return found;
}

function phoneIf(isPhone: (match: WindowMatch) => boolean): (match: WindowMatch) => readonly Detection[] {
  return (match) =>
    isPhone(match)
      ? [{ start: match.start, end: match.start + match.value.length, kind: 'phone', confidence: 'format' }]
      : [];
}

function isNational({ value }: WindowMatch): boolean {
  const digits = value.replace(/\D/g, '').length;
  return digits >= 9 && digits <= 13;
}

function isInternational({ value }: WindowMatch): boolean {
  const digits = value.replace(/\D/g, '').replace(/^00/, '');
  if (digits.length < DIGITS_MIN || digits.length > DIGITS_MAX) return false;
  return SHORT_CODES.test(digits) || LONG_CODES.test(digits);
}
