/** International bank account numbers (ISO 13616): country, its length, and check digits by ISO 7064 mod 97-10. */
import type { Scan } from '../../llm/scan.ts';
import type { Detection } from '../detection.ts';
import { scanEach, scanMatches, type DigitWindow } from './digit-windows.ts';

/** Lengths by country, from the IBAN registry (https://www.swift.com/standards/data-standards/iban). */
const LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 ' +
    'EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 ' +
    'IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 ' +
    'NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 ' +
    'SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

const CANDIDATE = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,40}/g;

/** Every IBAN of a text, in one piece or in groups. */
export function* scanIbans(text: string, windows: readonly DigitWindow[]): Scan<readonly Detection[]> {
  const candidates = yield* scanMatches(text, windows, CANDIDATE);
  return yield* scanEach(candidates, ({ start, value }) => {
    const length = LENGTHS.get(value.slice(0, 2).toUpperCase());
    const end = length === undefined ? -1 : endOf(value, length);
    if (end < 0 || /[A-Za-z0-9]/.test(value.charAt(end) || text.charAt(start + end))) return [];
    const account = value.slice(0, end).replace(/[ -]/g, '').toUpperCase();
    if (!hasMod97(account)) return [];
    return [{ start, end: start + end, kind: 'iban', confidence: 'checked' } as const];
  });
}

/** The offset after so many letters and digits; -1 if there are fewer. */
function endOf(value: string, length: number): number {
  let count = 0;
  for (let at = 0; at < value.length; at += 1) {
    if (value.charAt(at) === ' ' || value.charAt(at) === '-') continue;
    count += 1;
    if (count === length) return at + 1;
  }
  return -1;
}

function hasMod97(account: string): boolean {
  const turned = account.slice(4) + account.slice(0, 4);
  let rest = 0;
  for (const sign of turned) {
    const value = Number.parseInt(sign, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
