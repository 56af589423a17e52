import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { anthropicKey, leaksOf, mistralKey, openAiKey } from './keys.fixture.ts';
import { redactKey, redactText } from './redact.ts';
import { searchText } from './search-text.ts';

function find(text: string): readonly string[] {
  return searchText(text, { client: null, all: false }).map(
    ({ service, setting }) => `${service} ${setting ?? '-'}`,
  );
}

test('the setting is the name before the key, as shells, JSON, YAML, TOML and headers write it', () => {
  const key = openAiKey();
  for (const [text, setting] of [
    [`OPENAI_API_KEY=${key}`, 'OPENAI_API_KEY'],
    [`export OPENAI_API_KEY="${key}"`, 'OPENAI_API_KEY'],
    [`set -gx OPENAI_API_KEY ${key}`, 'OPENAI_API_KEY'],
    [`  "openai.apiKey" : "${key}"`, 'openai.apiKey'],
    [`- apiKey: '${key}'`, 'apiKey'],
    [`api_key = "${key}"`, 'api_key'],
    [`{"Authorization": "Bearer ${key}"}`, 'Authorization'],
    [`const client = new Client('${key}')`, null],
    [key, null],
  ] as const)
    assert.deepEqual(find(text), [`openai ${setting ?? '-'}`], text);
});

test("a key without a shape is told by a name that is a service's, and not by another", () => {
  assert.deepEqual(find(`MISTRAL_API_KEY=${mistralKey()}`), ['mistral MISTRAL_API_KEY']);
  assert.deepEqual(find(`mistral-api-key: ${mistralKey()}`), ['mistral mistral-api-key']);
  assert.deepEqual(find(`db_password: ${mistralKey()}`), []);
});

test('lines and columns count from 1', () => {
  const [found] = searchText(`a\r\n\n  "x": "${anthropicKey()}"`, { client: null, all: false });
  assert.deepEqual([found?.line, found?.column], [3, 9]);
});

test('any text is searched without a fault, and what is found is in it', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(openAiKey(), anthropicKey(), mistralKey(), 'token=', '"key": "', '\n'),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.constantFrom(null, 'opencode' as const),
      (pieces, client) => {
        const text = pieces.join('');
        for (const { secret, line, column } of searchText(text, { client, all: true })) {
          assert.ok(text.includes(secret.reveal()));
          const start =
            text
              .split('\n')
              .slice(0, line - 1)
              .reduce((sum, each) => sum + each.length + 1, 0) +
            column -
            1;
          assert.equal(text.slice(start, start + secret.reveal().length), secret.reveal());
        }
      },
    ),
  );
});

test('a key of 24 characters shows the first 6 and last 2, a shorter one the first 2; a text none at all', () => {
  assert.equal(redactKey('abcdefghijklmnopqrstuvwx'), 'abcdef…wx');
  assert.equal(redactKey('abcdefghijklmnopqrstuvw'), 'ab…');
  fc.assert(
    fc.property(fc.string({ maxLength: 30 }), fc.nat(1_000), (around, seed) => {
      const key = openAiKey(seed);
      assert.deepEqual(leaksOf(key, redactText(`${around} ${key} ${around}`)), []);
    }),
  );
});

test('the time is linear: a megabyte of the worst text takes less than ten times a tenth of it, with room', () => {
  for (const unit of ['key=', 'a', '"key": "', 'sk-', `set -gx A_${'-'.repeat(9)} `]) {
    const time = (length: number): number => {
      const text = unit.repeat(Math.ceil(length / unit.length));
      const start = performance.now();
      searchText(text, { client: 'opencode', all: true });
      return performance.now() - start;
    };
    time(50_000);
    const small = Math.max(5, time(100_000));
    assert.ok(time(1_000_000) < small * 60, unit);
  }
});
