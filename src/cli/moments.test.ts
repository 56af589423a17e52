import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLocal, parseMoment, parseSpan } from './moments.ts';

const NOW = Date.UTC(2026, 10, 23, 12);

test('spans, dates and times with their zone are understood', () => {
  assert.equal(parseSpan('90m', '--ttl'), 5_400_000);
  assert.equal(parseMoment('2d', NOW, '--from'), '2026-11-21T12:00:00.000Z');
  assert.equal(parseMoment('2026-11-01', NOW, '--from'), '2026-11-01T00:00:00.000Z');
  assert.equal(parseMoment('2026-11-01T08:00:00+02:00', NOW, '--from'), '2026-11-01T06:00:00.000Z');
});

test('a time without its zone, and what is no time, is refused by the option that held it', () => {
  for (const text of [
    '',
    '7',
    'd',
    '0d',
    '-1d',
    '9999999d',
    '5000w',
    'tomorrow',
    '2026-13-01',
    '2026-11-01T08:00',
    '2026-11-01 08:00',
  ]) {
    assert.throws(() => parseMoment(text, NOW, '--from'), /--from must be/, text);
  }
});

test('a text that is no time is shown as it is', () => {
  assert.equal(formatLocal(null), '-');
  assert.equal(formatLocal('soon'), 'soon');
});
