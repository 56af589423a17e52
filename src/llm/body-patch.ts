/** Changes of single places in a body: every other byte stays as the caller wrote it. */

export interface BodyPatch {
  /** Byte offsets; equal for an insertion. */
  readonly start: number;
  readonly end: number;
  /** Written as UTF-8. */
  readonly text: string;
}

/** The body with these places changed; the same bytes for none. Patches must not overlap; those at one place keep their order. */
export function applyPatches(body: Buffer, patches: readonly BodyPatch[]): Buffer {
  if (patches.length === 0) return body;
  const ordered = [...patches].sort((a, b) => a.start - b.start);
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of ordered) {
    if (start < at) throw new Error('assertion failed: changes of a body do not overlap');
    parts.push(body.subarray(at, start), Buffer.from(text, 'utf8'));
    at = end;
  }
  parts.push(body.subarray(at));
  return Buffer.concat(parts);
}
