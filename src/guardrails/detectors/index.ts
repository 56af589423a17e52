/** The built-in detectors, by the names that policy gives them. */
import { findKeys } from '../../llm/key-formats.ts';
import type { Detection } from '../detection.ts';
import { findCards } from './card.ts';
import { digitWindows, type DigitWindow } from './digit-windows.ts';
import { findEmails } from './email.ts';
import { findIbans } from './iban.ts';
import { findInjections } from './injection.ts';
import { findNationalIds } from './national-id.ts';
import { findPhones } from './phone.ts';

export type DetectorName = 'secrets' | 'email' | 'phone' | 'card' | 'iban' | 'national_id' | 'injection';

/** `windows` gives the stretches of the text that have numbers; asked for at most once by each detector. */
export type BuiltInDetector = (text: string, windows: () => readonly DigitWindow[]) => readonly Detection[];

/** Each finds in no order and may find overlapping spans; total, and linear in the text. */
export const detectors: Readonly<Record<DetectorName, BuiltInDetector>> = {
  secrets: (text) => findKeys(text),
  email: (text) => findEmails(text),
  phone: (text, windows) => findPhones(text, windows()),
  card: (text, windows) => findCards(text, windows()),
  iban: (text, windows) => findIbans(text, windows()),
  national_id: (text, windows) => findNationalIds(text, windows()),
  injection: (text) => findInjections(text),
};

/** Windows of a text, found when first asked for. */
export function windowsOf(text: string): () => readonly DigitWindow[] {
  let windows: readonly DigitWindow[] | null = null;
  return () => (windows ??= digitWindows(text));
}
