import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHujson } from '../../wire/hujson.ts';
import { writeReserveNone } from './import-aperture.ts';

test('each quota that says nothing of reserve keeps its meaning; comments stay (docs/configuration.md)', () => {
  const text = `{
  // budgets
  "quotas": {
    "team": { /* five dollars */ "capacity": "$5", "rate": "$5/day" },
    "mine": { "capacity": "$1", "reserve": "worst" },
    "empty": {},
  },
}`;
  const imported = writeReserveNone(text);
  assert.deepEqual(imported.quotas, ['team', 'empty']);
  assert.match(imported.text, /\/\/ budgets/);
  assert.match(imported.text, /\/\* five dollars \*\//);
  assert.deepEqual(JSON.parse(JSON.stringify(parseHujson(imported.text).value)), {
    quotas: {
      team: { reserve: 'none', capacity: '$5', rate: '$5/day' },
      mine: { capacity: '$1', reserve: 'worst' },
      empty: { reserve: 'none' },
    },
  });
});

test('a document without quotas, or with odd ones, comes out as it was', () => {
  for (const text of ['{}', '[]', 'null', '{"quotas": 7}', '{"quotas": {"a": 7}}']) {
    assert.deepEqual(writeReserveNone(text), { text, quotas: [] });
  }
});
