/** Approvals in words. What callers wrote is shown with whatever would hide or turn it written out. */
import type { Schema } from '../../api/client.ts';
import { relativeTime, shortTime } from '../../format/index.ts';

export type Approval = Schema<'Approval'>;
export type ApprovalDetail = Schema<'ApprovalDetail'>;

export const KIND_NAMES = {
  tool: 'Tool call',
  model: 'Model',
  budget: 'Budget',
  request: 'Request',
} as const satisfies Readonly<Record<Approval['kind'], string>>;

/** `the tool Bash`, `the model openai/gpt-5`, `$5.00 more in the budget day:alice`. */
export function wantOf({ kind, subject, amount_text: amountText }: Approval): string {
  const name = visible(subject);
  if (kind === 'tool') return `the tool ${name}`;
  if (kind === 'model') return `the model ${name}`;
  if (kind === 'request') return 'a request';
  return `${amountText === null ? 'more' : `${amountText} more`} in the budget ${name}`;
}

/** `alice@example.com asks for the tool Bash`. */
export function titleOf(approval: Approval): string {
  return `${visible(approval.label)} asks for ${wantOf(approval)}`;
}

/** What became of it. */
export function stateText(approval: Approval): string {
  const { state, reason, votes, quorum, expires_at: expiresAt, valid_until: validUntil } = approval;
  const why = reason === null ? '' : `: ${visible(reason)}`;
  switch (state) {
    case 'pending': {
      const share = quorum > 1 ? `${votes.length} of ${quorum} approve, ` : '';
      return `waits for a decision, ${share}ends ${relativeTime(expiresAt)}`;
    }
    case 'approved':
      return `approved${validUntil === null ? '' : `, holds until ${shortTime(validUntil)}`}${why}`;
    case 'used':
      return `approved and done${why}`;
    case 'denied':
      return `denied${why}`;
    case 'expired':
      return 'expired, nobody decided in time';
    case 'withdrawn':
      return 'taken back by who asked';
    default:
      return state;
  }
}

/** Text of strangers with controls, directions and characters without width written as `\u…`. */
export function visible(text: string): string {
  return text.replace(/[^\P{C}\n\t]|[\u2028\u2029]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

const UNITS = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
] as const;

/** Whole seconds in the largest unit that fits: `2 hours`. */
export function spanText(seconds: number): string {
  const [size, name] = UNITS.find(([unit]) => seconds >= unit && seconds % unit === 0) ?? [1, 'second'];
  const count = seconds / size;
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

/** What people choose between, up to the most that policy allows; seconds. */
export function spansUpTo(mostSec: number): readonly number[] {
  const usual = [900, 3_600, 8 * 3_600, 86_400, 7 * 86_400, 30 * 86_400].filter((sec) => sec < mostSec);
  return [...usual, Math.floor(mostSec)];
}
