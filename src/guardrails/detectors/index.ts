/** The built-in detectors, by the names that policy gives them. */
import { scanKeys } from '../../llm/key-formats.ts';
import type { Scan } from '../../llm/scan.ts';
import type { Detection } from '../detection.ts';
import { scanCards } from './card.ts';
import { scanDigitWindows, type DigitWindow } from './digit-windows.ts';
import { scanEmails } from './email.ts';
import { scanIbans } from './iban.ts';
import { scanInjections } from './injection.ts';
import { scanNationalIds } from './national-id.ts';
import { scanPhones } from './phone.ts';

export type DetectorName = 'secrets' | 'email' | 'phone' | 'card' | 'iban' | 'national_id' | 'injection';

/** A text with the stretches of it that have numbers, found when first asked for. */
export class ScannedText {
  readonly text: string;
  #windows: readonly DigitWindow[] | null = null;

  constructor(text: string) {
    this.text = text;
  }

  *windows(): Scan<readonly DigitWindow[]> {
    return (this.#windows ??= yield* scanDigitWindows(this.text));
  }
}

/** Finds in no order and may find overlapping spans; total, and linear in the text. */
export type BuiltInDetector = (scanned: ScannedText) => Scan<readonly Detection[]>;

export const detectors: Readonly<Record<DetectorName, BuiltInDetector>> = {
  secrets: ({ text }) => scanKeys(text),
  email: ({ text }) => scanEmails(text),
  phone: numbers(scanPhones),
  card: numbers(scanCards),
  iban: numbers(scanIbans),
  national_id: numbers(scanNationalIds),
  injection: ({ text }) => scanInjections(text),
};

function numbers(
  scan: (text: string, windows: readonly DigitWindow[]) => Scan<readonly Detection[]>,
): BuiltInDetector {
  return function* scanNumbers(scanned) {
    return yield* scan(scanned.text, yield* scanned.windows());
  };
}
