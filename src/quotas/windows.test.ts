import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { Windows, type WindowUnit } from './windows.ts';

const windows = new Windows();

function span(unit: WindowUnit, zone: string | null, at: string): readonly string[] {
  const { start, end } = windows.at(unit, zone, Date.parse(at));
  return [new Date(start).toISOString(), new Date(end).toISOString()].map((text) =>
    text.replace('.000Z', 'Z'),
  );
}

test('hour, day, week from Monday and month, in UTC without a zone', () => {
  const at = '2026-02-26T13:14:15Z';
  assert.deepEqual(span('hour', null, at), ['2026-02-26T13:00:00Z', '2026-02-26T14:00:00Z']);
  assert.deepEqual(span('day', null, at), ['2026-02-26T00:00:00Z', '2026-02-27T00:00:00Z']);
  assert.deepEqual(span('week', null, at), ['2026-02-23T00:00:00Z', '2026-03-02T00:00:00Z']);
  assert.deepEqual(span('month', null, at), ['2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z']);
});

test('days of 23 and 25 hours are one window', () => {
  assert.deepEqual(span('day', 'Europe/Zurich', '2026-03-29T12:00:00Z'), [
    '2026-03-28T23:00:00Z',
    '2026-03-29T22:00:00Z',
  ]);
  assert.deepEqual(span('day', 'Europe/Zurich', '2026-10-25T12:00:00Z'), [
    '2026-10-24T22:00:00Z',
    '2026-10-25T23:00:00Z',
  ]);
});

test('where midnight does not exist the day begins when clocks come out of the gap', () => {
  assert.deepEqual(span('day', 'Africa/Cairo', '2026-04-24T12:00:00Z'), [
    '2026-04-23T22:00:00Z',
    '2026-04-24T21:00:00Z',
  ]);
  assert.deepEqual(span('day', 'Africa/Cairo', '2026-04-23T12:00:00Z')[1], '2026-04-23T22:00:00Z');
});

test('windows hold their moment and follow each other without gap or overlap', () => {
  const zones = [
    'Europe/Zurich',
    'America/Havana',
    'Africa/Cairo',
    'Asia/Kathmandu',
    'Pacific/Apia',
    'America/New_York',
  ];
  fc.assert(
    fc.property(
      fc.constantFrom<WindowUnit>('hour', 'day', 'week', 'month'),
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2035, 0) }),
      (unit, zone, at) => {
        const window = windows.at(unit, zone, at);
        assert.ok(window.start <= at && at < window.end, `${unit} ${zone} ${new Date(at).toISOString()}`);
        assert.deepEqual(windows.at(unit, zone, window.start), window);
        assert.deepEqual(windows.at(unit, zone, window.end - 1), window);
        assert.equal(windows.at(unit, zone, window.end).start, window.end);
      },
    ),
  );
});

test('an unknown zone is refused', () => {
  assert.throws(() => windows.at('day', 'Mars/Olympus', 0), RangeError);
});
