/** A unified diff of two document texts, by lines (E. Myers, "An O(ND) Difference Algorithm", 1986). */

const CONTEXT_LINES = 3;
/** Beyond so many differing lines the middle is shown as replaced whole. */
const MAX_EDITS = 400;

type Edit = { readonly kind: ' ' | '-' | '+'; readonly line: string };

/** Unified diff with three lines of context; '' where the texts are equal. Never throws. */
export function diffDocuments(
  before: string,
  after: string,
  names = { before: 'before', after: 'after' },
): string {
  if (before === after) return '';
  const edits = editsBetween(before.split('\n'), after.split('\n'));
  return [`--- ${names.before}`, `+++ ${names.after}`, ...hunksOf(edits)].join('\n') + '\n';
}

function editsBetween(a: readonly string[], b: readonly string[]): readonly Edit[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (
    tail < a.length - head &&
    tail < b.length - head &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail += 1;
  const keep = (line: string): Edit => ({ kind: ' ', line });
  return [
    ...a.slice(0, head).map(keep),
    ...middleEdits(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(keep),
  ];
}

/** `furthest[k]` is the longest reach in `a` on diagonal k; one copy per number of edits, to walk back. */
function middleEdits(a: readonly string[], b: readonly string[]): readonly Edit[] {
  const trace: Map<number, number>[] = [];
  const furthest = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= Math.min(a.length + b.length, MAX_EDITS); edits += 1) {
    trace.push(new Map(furthest));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
      let x = down ? (furthest.get(k + 1) ?? 0) : (furthest.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      furthest.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkBack(trace, a, b);
    }
  }
  return [...a.map((line): Edit => ({ kind: '-', line })), ...b.map((line): Edit => ({ kind: '+', line }))];
}

function walkBack(
  trace: readonly Map<number, number>[],
  a: readonly string[],
  b: readonly string[],
): readonly Edit[] {
  const edits: Edit[] = [];
  let x = a.length;
  let y = b.length;
  for (let step = trace.length - 1; step >= 0; step -= 1) {
    const furthest = trace[step] ?? new Map<number, number>();
    const k = x - y;
    const down = k === -step || (k !== step && (furthest.get(k - 1) ?? -1) < (furthest.get(k + 1) ?? -1));
    const previousK = down ? k + 1 : k - 1;
    const previousX = furthest.get(previousK) ?? 0;
    const previousY = previousX - previousK;
    while (x > previousX && y > previousY) {
      x -= 1;
      y -= 1;
      edits.push({ kind: ' ', line: a[x] ?? '' });
    }
    if (step === 0) break;
    if (down) edits.push({ kind: '+', line: b[previousY] ?? '' });
    else edits.push({ kind: '-', line: a[previousX] ?? '' });
    x = previousX;
    y = previousY;
  }
  return edits.reverse();
}

function hunksOf(edits: readonly Edit[]): readonly string[] {
  const lines: string[] = [];
  let lineA = 1;
  let lineB = 1;
  let at = 0;
  while (at < edits.length) {
    const next = edits.findIndex((edit, index) => index >= at && edit.kind !== ' ');
    if (next < 0) break;
    const start = Math.max(at, next - CONTEXT_LINES);
    lineA += start - at;
    lineB += start - at;
    const end = hunkEnd(edits, next);
    const hunk = edits.slice(start, end);
    const countA = hunk.filter((edit) => edit.kind !== '+').length;
    const countB = hunk.filter((edit) => edit.kind !== '-').length;
    lines.push(
      `@@ -${countA === 0 ? lineA - 1 : lineA},${countA} +${countB === 0 ? lineB - 1 : lineB},${countB} @@`,
    );
    for (const edit of hunk) lines.push(edit.kind + edit.line);
    lineA += countA;
    lineB += countB;
    at = end;
  }
  return lines;
}

/** Where a hunk ends: changes that share context lines go into one. */
function hunkEnd(edits: readonly Edit[], from: number): number {
  let last = from;
  for (let at = from; at < edits.length && at <= last + 2 * CONTEXT_LINES; at += 1) {
    if (edits[at]?.kind !== ' ') last = at;
  }
  return Math.min(edits.length, last + 1 + CONTEXT_LINES);
}
