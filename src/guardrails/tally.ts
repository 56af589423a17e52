/** Counts finds for the record. */
import type { Confidence } from './detection.ts';
import type { EntryDetection } from './compile-entries.ts';
import type { Finding, FindingPlace } from './finding.ts';

/** Different findings of one exchange; more are counted with the first. */
const FINDINGS_MAX = 200;
const STRENGTH: Readonly<Record<Confidence, number>> = { heuristic: 0, format: 1, checked: 2 };

export class Tally {
  readonly #findings = new Map<string, Finding>();

  add({ entry, kind, confidence }: EntryDetection, { direction, role }: FindingPlace): void {
    const key = `${entry.name} ${kind} ${direction} ${role ?? ''}`;
    const known = this.#findings.get(key);
    if (known === undefined && this.#findings.size >= FINDINGS_MAX) return;
    const isStronger = known !== undefined && STRENGTH[known.confidence] > STRENGTH[confidence];
    this.#findings.set(key, {
      guardrail: entry.name,
      kind,
      action: entry.action,
      confidence: isStronger ? known.confidence : confidence,
      count: (known?.count ?? 0) + 1,
      direction,
      role,
    });
  }

  list(): readonly Finding[] {
    return [...this.#findings.values()];
  }
}
