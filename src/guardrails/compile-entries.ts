/** The entries that hold for a caller and model, prepared: each detector runs once, whoever asks for it. */
import type { Direction, GuardrailEntry } from '../policy/governance.ts';
import type { Pattern } from '../policy/pattern.ts';
import type { Detection } from './detection.ts';
import { detectors, windowsOf, type DetectorName } from './detectors/index.ts';
import { patternReach, type PatternReach } from './pattern-reach.ts';
import type { Slices } from './turns.ts';

/** One detector or custom pattern, and the entries that want it. */
interface Source {
  readonly name: string;
  readonly find: (text: string, windows: ReturnType<typeof windowsOf>) => readonly Detection[];
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

/** Spans of one text that one source may find: by then the whole text is to be changed. */
const FOUND_MAX = 1_000;

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
      find: detectors[name],
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
      return { name, find: (text: string) => findPattern(text, name, pattern, reach), wantedBy: [i], reach };
    }),
  );
}

function findPattern(
  text: string,
  kind: string,
  pattern: Pattern,
  reach: PatternReach,
): readonly Detection[] {
  // The engine is slow; most texts lack even the letters that every match begins with.
  if (reach.prefix !== '' && !text.includes(reach.prefix)) return [];
  return pattern
    .find(text, FOUND_MAX)
    .map(([start, end]) => ({ start, end, kind, confidence: 'format' as const }));
}

/** All finds in a text, by the order of their starts, longer ones first. */
export function detect(compiled: CompiledEntries, text: string): readonly EntryDetection[] {
  const windows = windowsOf(text);
  const found: EntryDetection[] = [];
  for (const source of compiled.sources) collect(compiled, source, source.find(text, windows), found);
  return found.sort(byStart);
}

/** The same, with other turns of the event loop in between. */
export async function detectInSlices(
  compiled: CompiledEntries,
  text: string,
  slices: Slices,
): Promise<readonly EntryDetection[]> {
  const windows = windowsOf(text);
  const found: EntryDetection[] = [];
  for (const source of compiled.sources) {
    const turn = slices.before(text.length);
    if (turn !== null) await turn;
    collect(compiled, source, source.find(text, windows), found);
  }
  return found.sort(byStart);
}

function collect(
  { entries }: CompiledEntries,
  { wantedBy }: Source,
  detections: readonly Detection[],
  found: EntryDetection[],
): void {
  for (const detection of detections) {
    for (const index of wantedBy) {
      const entry = entries[index];
      if (entry !== undefined) found.push({ ...detection, entry });
    }
  }
}

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
  const joined: { start: number; end: number; kind: string; longest: number }[] = [];
  for (const { start, end, kind } of found) {
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
