/** The value of `x-postern-budget-remaining`: `<bucket>;usd=<n>`, several by commas. */
import type { Remaining } from './quotas.ts';

/** Headers stay small. */
const BUCKETS_MAX = 8;

/** The tightest first; '' for none. Only visible ASCII, whatever the buckets are called. */
export function remainingHeader(remaining: readonly Remaining[]): string {
  return remaining
    .toSorted((a, b) => share(a) - share(b))
    .slice(0, BUCKETS_MAX)
    .map((item) => `${token(item.bucket)};${item.unit}=${amount(item)}`)
    .join(', ');
}

function share({ remaining, capacity }: Remaining): number {
  return capacity > 0 ? remaining / capacity : 0;
}

function amount({ unit, remaining }: Remaining): string {
  const left = Math.max(0, remaining);
  // Six decimals: a token of a small model costs less than a cent.
  return unit === 'usd' ? (Math.floor(left / 1000) / 1e6).toFixed(6) : String(left);
}

function token(text: string): string {
  return text.replace(/[^\x21-\x7e]|[;,%"]/gu, (char) =>
    encodeURIComponent(char.isWellFormed() ? char : '?'),
  );
}
