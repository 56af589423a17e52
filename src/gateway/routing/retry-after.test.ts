import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { RETRY_AFTER_MAX_MS, readRetryAdvice } from './retry-after.ts';

const NOW = Date.UTC(2026, 0, 5, 12);

const CASES: readonly [string, readonly string[], number | null, boolean | null][] = [
  ['seconds (RFC 9110 section 10.2.3)', ['Retry-After', '7'], 7_000, null],
  ['seconds with a fraction', ['retry-after', '0.25'], 250, null],
  ['a date', ['Retry-After', 'Mon, 05 Jan 2026 12:00:30 GMT'], 30_000, null],
  ['the older form of a date', ['Retry-After', 'Monday, 05-Jan-26 12:00:30 GMT'], 30_000, null],
  ['a date in the past', ['Retry-After', 'Mon, 05 Jan 2026 11:00:00 GMT'], 0, null],
  ['milliseconds, which win', ['retry-after', '9', 'retry-after-ms', '1200'], 1_200, null],
  ['more than an hour', ['retry-after', '86400'], RETRY_AFTER_MAX_MS, null],
  ['more than a number holds', ['retry-after', '9'.repeat(60)], RETRY_AFTER_MAX_MS, null],
  ['the first of two', ['retry-after', '1', 'retry-after', '50'], 1_000, null],
  ['a negative number', ['retry-after', '-5'], null, null],
  ['an exponent', ['retry-after', '1e9'], null, null],
  ['hexadecimal', ['retry-after', '0x10'], null, null],
  ['a year alone', ['retry-after', 'January 2099'], null, null],
  ['a date without a zone', ['retry-after', 'Mon Jan  5 12:00:30 2026'], null, null],
  ['words', ['retry-after', 'soon'], null, null],
  ['too long a text', ['retry-after', `Mon, ${'0'.repeat(100)}`], null, null],
  ['nothing', ['content-type', 'text/plain'], null, null],
  ['advice against another attempt', ['x-should-retry', 'false'], null, false],
  ['advice for one', ['x-should-retry', 'true', 'retry-after', '1'], 1_000, true],
  ['advice that is none', ['x-should-retry', 'maybe'], null, null],
];

for (const [title, headers, retryAfterMs, shouldRetry] of CASES) {
  test(`what a provider says of the next attempt: ${title}`, () => {
    assert.deepEqual(readRetryAdvice(headers, NOW), { retryAfterMs, shouldRetry });
    const bytes = headers.map((text) => Buffer.from(text, 'latin1'));
    assert.deepEqual(readRetryAdvice(bytes, NOW), { retryAfterMs, shouldRetry });
  });
}

test('any header list is read without a fault and within the bounds', () => {
  const name = fc.constantFrom('retry-after', 'Retry-After-Ms', 'x-should-retry', 'x');
  const value = fc.oneof(
    fc.string(),
    fc.double().map(String),
    fc.date({ noInvalidDate: true }).map((d) => d.toUTCString()),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fc.integer(), (pairs, now) => {
      const { retryAfterMs } = readRetryAdvice(pairs.flat(), now);
      assert.ok(retryAfterMs === null || (retryAfterMs >= 0 && retryAfterMs <= RETRY_AFTER_MAX_MS));
    }),
  );
});
