/** Puts new texts in the places of old ones; every other byte stays as the caller wrote it. */
import { applyPatches, type BodyPatch } from '../body-patch.ts';
import type { TextEdit, TextPart } from './text-part.ts';
import { decodeString } from './walk-json.ts';

/**
 * The body with these texts in their places; the same bytes for none. Every part must come from these
 * bytes, be `editable`, and occur once. A number becomes a string.
 */
export function withTexts(body: Buffer, edits: readonly TextEdit[]): Buffer {
  const patches: BodyPatch[] = [];
  const nested = new Map<number, TextEdit[]>();
  for (const edit of edits) {
    const { part, text } = edit;
    if (!part.editable) throw new Error('assertion failed: only editable texts are edited');
    if (part.inner === null) {
      patches.push({
        start: part.start,
        end: part.end,
        text: part.encoding === 'raw' ? text : JSON.stringify(text),
      });
      continue;
    }
    const others = nested.get(part.start);
    if (others === undefined) nested.set(part.start, [edit]);
    else others.push(edit);
  }
  for (const group of nested.values()) patches.push(nestedPatch(body, group));
  return applyPatches(body, patches);
}

function nestedPatch(body: Buffer, edits: readonly TextEdit[]): BodyPatch {
  const ordered = [...edits].sort((a, b) => innerStart(a.part) - innerStart(b.part));
  const [first] = ordered;
  if (first === undefined) throw new Error('assertion failed: a group of edits is not empty');
  const { start, end } = first.part;
  const outer = decodeString(body, start, end);
  let text = '';
  let at = 0;
  for (const { part, text: written } of ordered) {
    text += outer.slice(at, innerStart(part)) + JSON.stringify(written);
    at = part.inner?.end ?? at;
  }
  return { start, end, text: JSON.stringify(text + outer.slice(at)) };
}

function innerStart(part: TextPart): number {
  return part.inner?.start ?? 0;
}
