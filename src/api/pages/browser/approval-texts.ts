/** Approvals in words, for lists, cards and what is said when one is decided. */
import { listOf, numberOf, textOf } from './shared.ts';

/** What every card needs of its page. */
export interface CardParts {
  /** Who looks. */
  readonly principal: string;
  /** Shows what is so now. With an id only that approval changed. */
  readonly refresh: (id?: string) => Promise<void>;
}

export function titleOf(item: unknown): string {
  return `${visible(textOf(item, 'label') ?? 'Somebody')} asks for ${wantOf(item)}`;
}

export function wantOf(item: unknown): string {
  const subject = visible(textOf(item, 'subject') ?? '');
  const kind = textOf(item, 'kind');
  if (kind === 'tool') return `the tool ${subject}`;
  if (kind === 'model') return `the model ${subject}`;
  if (kind !== 'budget') return 'a request';
  const amount = numberOf(item, 'amount');
  return `${amount === null ? 'more' : `${amount.toLocaleString()} more`} in the budget ${subject}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What became of it, in words. */
export function doneText(item: unknown): string {
  const state = textOf(item, 'state');
  const reason = textOf(item, 'reason');
  const why = reason === null ? '' : ` (${reason})`;
  if (state === 'pending')
    return `your approval counts, ${listOf(item, 'votes').length} of ${numberOf(item, 'quorum') ?? 1}`;
  if (state === 'approved') {
    const until = textOf(item, 'valid_until') === null ? '' : ` until ${momentOf(item, 'valid_until')}`;
    return `approved${until}${why}`;
  }
  const words: Record<string, string> = {
    used: 'approved and done',
    withdrawn: 'taken back',
    expired: 'expired, nobody decided',
  };
  return state === 'denied' ? `denied${why}` : (words[state ?? ''] ?? state ?? '');
}

/** A time in the viewer's zone; with the day unless it is today. */
export function momentOf(item: unknown, name: string): string {
  const time = new Date(textOf(item, name) ?? 0);
  const isToday = time.toDateString() === new Date().toDateString();
  return isToday
    ? time.toLocaleTimeString()
    : time.toLocaleString([], { dateStyle: 'short', timeStyle: 'short' });
}

/** Strangers' text with what would hide or turn it (controls, directions, no width) written out. */
export function visible(text: string): string {
  return text.replace(/[^\P{C}\n\t]|[\u2028\u2029]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/**
 * JSON over several lines, token by token as it was written: a parser would hide a key that comes
 * twice and round long numbers. Text that is no JSON stays as it is.
 */
export function spread(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return visible(text);
  }
  let depth = 0;
  // Deeper than that nobody reads, and a stranger could fill the memory with blanks.
  const line = (): string => `\n${'  '.repeat(Math.min(depth, 20))}`;
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  const lines = tokens.map((token, i) => {
    const next = tokens[i + 1];
    if (token === '{' || token === '[') {
      if (next === '}' || next === ']') return token;
      depth += 1;
      return token + line();
    }
    if (token === '}' || token === ']') {
      if (tokens[i - 1] === '{' || tokens[i - 1] === '[') return token;
      depth -= 1;
      return line() + token;
    }
    if (token === ',') return token + line();
    return token === ':' ? ': ' : token;
  });
  return visible(lines.join(''));
}

export function durationText(seconds: number): string {
  const units: [number, string][] = [
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
  ];
  const [size, name] = units.find(([unit]) => seconds >= unit && seconds % unit === 0) ?? [1, 'second'];
  const count = seconds / size;
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}
