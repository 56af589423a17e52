/**
 * Numbers that a state gives to a person. Those with a check digit count wherever it agrees; those without one,
 * or with one that every tenth number passes, only in their own way of writing or behind their name.
 */
import type { Scan } from '../../llm/scan.ts';
import type { Confidence, Detection } from '../detection.ts';
import { scanEach, scanMatches, type DigitWindow, type WindowMatch } from './digit-windows.ts';
import * as check from './national-id-checks.ts';

interface IdFormat {
  readonly kind: string;
  readonly pattern: RegExp;
  /** Over the match without blanks, dots, hyphens and slashes, in capitals. */
  readonly isValid: (id: string) => boolean;
  readonly confidence: Confidence;
  /** What must stand before it. */
  readonly name?: RegExp;
}

const FORMATS: readonly IdFormat[] = [
  {
    kind: 'us_ssn',
    pattern: /(?<![\w.-])\d{3}([- ])\d{2}\1\d{4}(?![\w-])/g,
    isValid: check.isSsn,
    confidence: 'format',
  },
  {
    kind: 'us_ssn',
    pattern: /(?<![\w.-])\d{9}(?![\w-])/g,
    isValid: check.isSsn,
    confidence: 'heuristic',
    name: /(?:ssn|social security(?: (?:number|no))?)\W{1,4}$/i,
  },
  {
    kind: 'uk_nino',
    pattern: /(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)/g,
    isValid: (id) => !/^(?:BG|GB|NK|KN|TN|NT|ZZ)/.test(id),
    confidence: 'format',
  },
  {
    kind: 'de_tax_id',
    pattern: /(?<![\w.-])[1-9]\d(?: ?\d{3}){3}(?![\w-])/g,
    isValid: check.isGermanTaxId,
    confidence: 'checked',
  },
  {
    kind: 'fr_nir',
    pattern:
      /(?<![\w.-])[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}(?![\w-])/g,
    isValid: check.isFrenchNir,
    confidence: 'checked',
  },
  {
    kind: 'es_dni',
    pattern: /(?<![\w.-])(?:\d{8}|[XYZ]-?\d{7})[- ]?[A-HJ-NP-TV-Z](?!\w)/g,
    isValid: check.isSpanishDni,
    confidence: 'checked',
  },
  {
    kind: 'it_codice_fiscale',
    pattern: /(?<!\w)[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPR-T][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z](?!\w)/gi,
    isValid: check.isCodiceFiscale,
    confidence: 'checked',
  },
  {
    kind: 'nl_bsn',
    pattern: /(?<![\w-])\d{9}(?![\w-])|(?<![\w-])\d{4}\.\d{2}\.\d{3}(?![\w-])/g,
    isValid: check.isBsn,
    confidence: 'checked',
    name: /(?:bsn|burgerservicenummer|sofinummer)(?: ?(?:nr|nummer))?\W{1,4}$/i,
  },
  {
    kind: 'se_personnummer',
    pattern: /(?<![\w.-])(?:19|20)?\d{6}[-+]\d{4}(?![\w-])/g,
    isValid: check.isPersonnummer,
    confidence: 'checked',
  },
  {
    kind: 'fi_hetu',
    pattern: /(?<![\w.-])\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y](?!\w)/g,
    isValid: check.isHetu,
    confidence: 'checked',
  },
  { kind: 'pl_pesel', pattern: /(?<![\w.-])\d{11}(?![\w-])/g, isValid: check.isPesel, confidence: 'checked' },
  {
    kind: 'be_national_number',
    pattern: /(?<![\w-])\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}(?![\w-])/g,
    isValid: check.isBelgianNumber,
    confidence: 'checked',
  },
  {
    kind: 'ch_ahv',
    pattern: /(?<![\w.-])756\.?\d{4}\.?\d{4}\.?\d{2}(?![\w-])/g,
    isValid: check.hasEan13,
    confidence: 'checked',
  },
  {
    kind: 'br_cpf',
    pattern: /(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])/g,
    isValid: check.isCpf,
    confidence: 'checked',
  },
];

const NAME_WINDOW = 40;

/** Every national id of a text, in no order. */
export function* scanNationalIds(text: string, windows: readonly DigitWindow[]): Scan<readonly Detection[]> {
  const found: Detection[] = [];
  if (windows.length === 0) return found;
  for (const format of FORMATS) {
    const matches = yield* scanMatches(text, windows, format.pattern);
    for (const one of yield* scanEach(matches, (match) => idIn(text, match, format))) found.push(one);
  }
  return found;
}

function idIn(
  text: string,
  { start, value }: WindowMatch,
  { kind, isValid, confidence, name }: IdFormat,
): readonly Detection[] {
  const before = name === undefined ? '' : text.slice(Math.max(0, start - NAME_WINDOW), start);
  if (name?.test(before) === false || !isValid(value.replace(/[ ./-]/g, '').toUpperCase())) return [];
  return [{ start, end: start + value.length, kind, confidence }];
}
