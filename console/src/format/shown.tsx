/** Amounts and times as elements: short to read, exact when pointed at. */
import { useEffect, useState } from 'react';
import { amount, exactAmount, exactMoney, money } from './numbers.ts';
import { exactTime, relativeTime, shortTime } from './times.ts';

/** Integer nano-dollars; `estimated` marks what Postern had to estimate. */
export function Money({
  nano,
  estimated = false,
}: {
  readonly nano: number | null | undefined;
  readonly estimated?: boolean;
}) {
  const mark = estimated ? '≈ ' : '';
  return (
    <data className="number" value={nano ?? ''} title={`${mark}${exactMoney(nano)}`}>
      {mark}
      {money(nano)}
    </data>
  );
}

/** A count of tokens, requests or such. */
export function Tokens({ count }: { readonly count: number | null | undefined }) {
  return (
    <data className="number" value={count ?? ''} title={exactAmount(count)}>
      {amount(count)}
    </data>
  );
}

/** A time (RFC 3339) in the viewer's zone. */
export function Time({ at }: { readonly at: string }) {
  return (
    <time className="number" dateTime={at} title={exactTime(at)}>
      {shortTime(at)}
    </time>
  );
}

/** How long ago, or how soon; kept current by the half minute. */
export function Relative({ at }: { readonly at: string }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <time dateTime={at} title={exactTime(at)}>
      {relativeTime(at)}
    </time>
  );
}
