/** The entries that hold for a caller and model, prepared: each detector runs once, whoever asks for it. */
import type { Direction, GuardrailEntry } from '../policy/governance.ts';
import { finishScan, SCAN_STEP_CHARS, type Scan } from '../llm/scan.ts';
import type { Detection } from './detection.ts';
import { detectors, ScannedText, type BuiltInDetector, type DetectorName } from './detectors/index.ts';
import { patternReach, type PatternReach } from './pattern-reach.ts';
import { scanPattern } from './scan-pattern.ts';

/** One detector or custom pattern, and the entries that want it. */
interface Source {
  readonly name: string;
  readonly scan: BuiltInDetector;
  /** Indices of entries. */
  readonly wantedBy: readonly number[];
  readonly reach: PatternReach | null;
}

/** One find with the entry that it counts for. */
export interface EntryDetection extends Detection {
  readonly entry: GuardrailEntry;
}

/** Prepared entries; immutable. */
export interface CompiledEntries {
  /** Unique in the process: names what was found clean before. */
  readonly serial: number;
  readonly entries: readonly GuardrailEntry[];
  readonly sources: readonly Source[];
  /** Detectors by name, for the rules of what to hold back in a stream. */
  readonly detectorNames: ReadonlySet<string>;
  readonly reaches: readonly PatternReach[];
}

/** The entries among `entries` that look for something in one of `directions`; null if none does. */
export function compileEntries(
  entries: readonly GuardrailEntry[],
  directions: readonly Direction[],
  serial: number,
): CompiledEntries | null {
  const looking = entries.filter(
    (entry) =>
      entry.action !== 'allow' &&
      entry.detect.length + entry.patterns.length > 0 &&
      entry.on.some((direction) => directions.includes(direction)),
  );
  if (looking.length === 0) return null;
  const sources = [...builtInSources(looking), ...patternSources(looking)];
  return {
    serial,
    entries: looking,
    sources,
    detectorNames: new Set(looking.flatMap(({ detect }) => detect)),
    reaches: sources.map(({ reach }) => reach).filter((reach) => reach !== null),
  };
}

function builtInSources(entries: readonly GuardrailEntry[]): Source[] {
  return detectorNames()
    .map((name) => ({
      name,
      scan: detectors[name],
      wantedBy: entries.flatMap((entry, i) => (entry.detect.includes(name) ? [i] : [])),
      reach: null,
    }))
    .filter(({ wantedBy }) => wantedBy.length > 0);
}

function detectorNames(): DetectorName[] {
  return ['secrets', 'email', 'phone', 'card', 'iban', 'national_id', 'injection'];
}

function patternSources(entries: readonly GuardrailEntry[]): Source[] {
  return entries.flatMap((entry, i) =>
    entry.patterns.map(({ name, pattern }) => {
      const reach = patternReach(pattern.source);
      const scan: BuiltInDetector = ({ text }) => scanPattern(text, { kind: name, pattern, reach });
      return { name, scan, wantedBy: [i], reach };
    }),
  );
}

/** All finds in a text, by the order of their starts, longer ones first. */
export function detect(compiled: CompiledEntries, text: string): readonly EntryDetection[] {
  return finishScan(scanText(compiled, text));
}

/** The same with pauses, for long texts. */
export function* scanText(compiled: CompiledEntries, text: string): Scan<readonly EntryDetection[]> {
  const scanned = new ScannedText(text);
  const found: EntryDetection[] = [];
  for (const { scan, wantedBy } of compiled.sources) {
    for (const [at, detection] of (yield* scan(scanned)).entries()) {
      if (at % FOUND_STEP === FOUND_STEP - 1) yield;
      for (const index of wantedBy) {
        const entry = compiled.entries[index];
        if (entry !== undefined) found.push({ ...detection, entry });
      }
    }
    if (text.length > SCAN_STEP_CHARS) yield;
  }
  return yield* sortInSteps(found);
}

/** Finds between two pauses. */
export const FOUND_STEP = 1_024;

/** As `sort` with `byStart`; long lists in parts that are merged. */
function* sortInSteps(found: EntryDetection[]): Scan<readonly EntryDetection[]> {
  if (found.length <= SORT_STEP) return found.sort(byStart);
  let parts: EntryDetection[][] = [];
  for (let at = 0; at < found.length; at += SORT_STEP, yield)
    parts.push(found.slice(at, at + SORT_STEP).sort(byStart));
  while (parts.length > 1) {
    const merged: EntryDetection[][] = [];
    for (let at = 0; at < parts.length; at += 2)
      merged.push(yield* mergeInSteps(parts[at] ?? [], parts[at + 1] ?? []));
    parts = merged;
  }
  return parts[0] ?? [];
}

/** Of equal ones those of `one` come first, as in a stable sort. */
function* mergeInSteps(one: EntryDetection[], other: EntryDetection[]): Scan<EntryDetection[]> {
  const merged: EntryDetection[] = [];
  let next = 0;
  for (const found of one) {
    for (let before = other[next]; before !== undefined && byStart(before, found) < 0; before = other[next]) {
      merged.push(before);
      next += 1;
    }
    merged.push(found);
    if (merged.length % SORT_STEP === 0) yield;
  }
  for (; next < other.length; next += SORT_STEP, yield)
    for (const found of other.slice(next, next + SORT_STEP)) merged.push(found);
  return merged;
}

/** Finds that are sorted or merged between two pauses. */
const SORT_STEP = 4_096;

function byStart(a: Detection, b: Detection): number {
  return a.start - b.start || b.end - a.end;
}

/** A stretch to be replaced: finds that overlap are one, or a part of the second would stay. */
export interface Replaced {
  readonly start: number;
  readonly end: number;
  readonly kind: string;
}

/** Joins overlapping finds; the longest names the kind. `found` is in the order of `detect`. */
export function joinOverlaps(found: readonly Detection[]): readonly Replaced[] {
  return finishScan(joinInSteps(found));
}

/** The same with pauses, for many finds. */
export function* joinInSteps(found: readonly Detection[]): Scan<readonly Replaced[]> {
  const joined: { start: number; end: number; kind: string; longest: number }[] = [];
  for (const [at, { start, end, kind }] of found.entries()) {
    if (at % FOUND_STEP === FOUND_STEP - 1) yield;
    const last = joined.at(-1);
    if (last === undefined || start >= last.end) {
      joined.push({ start, end, kind, longest: end - start });
      continue;
    }
    last.end = Math.max(last.end, end);
    if (end - start > last.longest) {
      last.kind = kind;
      last.longest = end - start;
    }
  }
  return joined;
}
