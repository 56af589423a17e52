/** A provider's usage, told in parts: members that are not null replace earlier ones. */
import { asRecord } from '../../formats/findings.ts';
import type { FormatReader } from '../../formats/format-reader.ts';
import type { Usage } from '../../usage.ts';

/** A usage object with more members is not one. */
const MEMBERS_MAX = 64;

export class MergedUsage {
  readonly #members = new Map<string, unknown>();

  add(usage: unknown): void {
    const entries = Object.entries(asRecord(usage) ?? {});
    if (entries.length > MEMBERS_MAX || this.#members.size > MEMBERS_MAX) return;
    for (const [key, value] of entries) if (value !== null) this.#members.set(key, value);
  }

  /** Null if the provider told nothing. */
  read({ readUsage }: FormatReader): Usage | null {
    return readUsage(Object.fromEntries(this.#members));
  }
}
