import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import '../../test/property-seed.ts';
import { amountText, parseAmount } from './values.ts';

test('amounts are written for people with their unit: never nano-dollars', () => {
  const cases: readonly (readonly [number, string | null, string])[] = [
    [5_000_000_000, 'usd', '$5.00'],
    [1_234_567_890_000_000, 'usd', '$1,234,567.89'],
    [250_000, 'usd', '$0.00025'],
    [-1_500_000_000, 'usd', '-$1.50'],
    [1_000, 'tokens', '1,000 tokens'],
    [-12, 'requests', '-12 requests'],
    [999, 'concurrency', '999 concurrent requests'],
    [1, 'requests', '1 request'],
    [7, null, '7'],
  ];
  for (const [amount, unit, text] of cases) assert.equal(amountText(amount, unit), text);
});

test('an amount reads as what the document would say, but for its commas', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 999_999_999_999_999 }),
      fc.constantFrom('usd', 'tokens'),
      (amount, unit) => {
        const text = amountText(amount, unit).replaceAll(',', '').replace(/ .*/, '');
        assert.deepEqual(parseAmount(text, unit), { ok: true, value: amount });
      },
    ),
  );
});
