import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HujsonError } from '../wire/hujson.ts';
import { liftSecrets, redactSecrets } from './lift-secrets.ts';
import { parseGatewayDocument } from './parse-document.ts';

const FULL = readFileSync(
  new URL('../../test/corpus/documents/aperture-full.hujson', import.meta.url),
  'utf8',
);

test('lift: every literal key goes, every comment and everything else stays', () => {
  const text =
    '{ // mine\n  "providers": {"p": {"apikey": "key-1", /* here */ "baseurl": "https://x.test/v1", "models": [], "authorization": "x-api-key",}},\n}';
  const { text: clean, lifted } = liftSecrets(text);
  assert.equal(clean, text.replace('"key-1"', '"vault:p"'));
  assert.deepEqual(
    lifted.map(({ secret, ...rest }) => [rest, secret.reveal()]),
    [
      [
        {
          kind: 'provider',
          provider: 'p',
          path: 'providers.p.apikey',
          origin: 'https://x.test',
          header: 'x-api-key',
        },
        'key-1',
      ],
    ],
  );
  assert.deepEqual(liftSecrets(clean), { text: clean, lifted: [] });
});

test('lift: keys of providers, hooks, connectors and exporters', () => {
  const { text, lifted } = liftSecrets(FULL);
  assert.deepEqual(lifted.map((one) => one.provider).sort(), [
    'connector:github/secret',
    'exporter:s3/access_key_id',
    'exporter:s3/access_secret',
    'hook:scrubber',
    'openai',
    'vertex',
  ]);
  for (const one of lifted)
    assert.ok(!text.includes(one.secret.reveal()) || one.secret.reveal() === 'invented', one.path);
  assert.ok(lifted.every((one) => one.origin.startsWith('http')));
  assert.ok(
    !parseGatewayDocument(text, { source: 'file' }).problems.some((one) => one.code === 'secret_in_document'),
  );
});

test('redact: the text for eyes has no key, not even in a comment', () => {
  const text =
    '{ // old: sk-abcdefghijklmnop1234\n "providers": {"p": {"apikey": "plain-key"}, "q": {"apikey": "env:KEY"}} }';
  const shown = redactSecrets(text);
  assert.ok(!shown.includes('plain-key') && !shown.includes('sk-abc'));
  assert.match(shown, /"q": \{"apikey": "env:KEY"\}/);
  assert.ok(!redactSecrets(FULL).includes('invented-secret'));
});

test('lift: whatever the key and its writing, it is gone afterwards', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 6, unit: 'binary' }), (key) => {
      fc.pre(
        !/^[*•.…]+$/.test(key) &&
          !/^(?:env:|file:|vault:)/.test(key) &&
          key.trim() !== '' &&
          key !== '[secret]',
      );
      const text = JSON.stringify({ providers: { 'p"': { apikey: key } } });
      const { text: clean, lifted } = liftSecrets(text);
      assert.equal(lifted[0]?.secret.reveal(), key);
      assert.equal(JSON.parse(clean).providers['p"'].apikey, 'vault:p"');
    }),
  );
});

test('lift: what is no document is refused, not passed on with its keys', () => {
  assert.throws(() => liftSecrets('{"apikey": "x"'), HujsonError);
  assert.throws(() => redactSecrets('{"apikey": "x"'), HujsonError);
});
