/** Which lines differ between two texts (longest common subsequence). */

export interface DiffLine {
  readonly mark: 'same' | 'gone' | 'new';
  readonly text: string;
}

/** Above it (each side) the texts are shown one after the other: the table has as many cells as lines times lines. */
const LINES_MAX = 600;

/** Lines of both, in an order that reads well: what went before what came. */
export function lineDiff(before: string, after: string): readonly DiffLine[] {
  const old = before.split('\n');
  const now = after.split('\n');
  if (old.length > LINES_MAX || now.length > LINES_MAX)
    return [...old.map((text) => line('gone', text)), ...now.map((text) => line('new', text))];
  const common = table(old, now);
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    const gone = old[i];
    const came = now[j];
    if (gone !== undefined && gone === came) {
      lines.push(line('same', gone));
      i += 1;
      j += 1;
    } else if (gone !== undefined && (came === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(line('gone', gone));
      i += 1;
    } else {
      lines.push(line('new', came ?? ''));
      j += 1;
    }
  }
  return lines;
}

function line(mark: DiffLine['mark'], text: string): DiffLine {
  return { mark, text };
}

/** How many lines the rests from `i` and `j` have in common. */
function table(old: readonly string[], now: readonly string[]): readonly Uint16Array[] {
  const rows = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    const row = rows[i];
    const below = rows[i + 1];
    if (row === undefined || below === undefined) continue;
    for (let j = now.length - 1; j >= 0; j -= 1)
      row[j] = old[i] === now[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
  }
  return rows;
}
