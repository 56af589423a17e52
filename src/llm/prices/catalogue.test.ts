import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entryAt, priceEntries, pricesAt, type ListedModel } from './catalogue.ts';

const FIRST = { input_mtok: 1 };
const LATER = { input_mtok: 2 };
const NIGHT = { input_mtok: 3 };

const MODEL: ListedModel = {
  id: 'm',
  match: { equals: 'm' },
  prices: [
    { prices: FIRST },
    { constraint: { type: 'start_date', start_date: '2026-03-01' }, prices: LATER },
    {
      constraint: { type: 'time_of_date', start_time: '16:30:00Z', end_time: '00:30:00Z' },
      prices: NIGHT,
    },
  ],
};

test('the last entry whose term holds counts: from its day on, and within its hours over midnight', () => {
  const at = (text: string): unknown => pricesAt(MODEL, Date.parse(text));
  assert.equal(at('2026-02-28T12:00:00Z'), FIRST);
  assert.equal(at('2026-03-01T00:00:00Z'), NIGHT);
  assert.equal(at('2026-03-01T00:30:00Z'), LATER);
  assert.equal(at('2026-03-01T16:29:59.999Z'), LATER);
  assert.equal(at('2026-03-01T16:30:00Z'), NIGHT);
});

test('where no term holds, or one cannot be read, the first entry counts; a model without entries has none', () => {
  const dated = (start: string): ListedModel => ({
    ...MODEL,
    prices: [
      { constraint: { type: 'start_date', start_date: '2030-01-01' }, prices: FIRST },
      { constraint: { type: 'start_date', start_date: start }, prices: LATER },
    ],
  });
  assert.equal(pricesAt(dated('2031-01-01'), 0), FIRST);
  assert.equal(pricesAt(dated('some day'), Date.parse('2040-01-01')), FIRST);
  assert.equal(entryAt(priceEntries({ ...MODEL, prices: [] }), 0), undefined);
});
