import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../test/property-seed.ts';
import { hide, previewOf } from './preview.ts';
import { question } from './test-approvals.ts';

const same = (text: string): string => text;
const preview = (argumentsText: string): string => previewOf(question({ argumentsText }), same);

test('a preview is one printable line of at most 200 characters, whatever a model wrote', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3_000 }), (text) => {
      const shown = preview(text);
      assert.ok(shown.length <= 200);
      assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    }),
  );
  assert.equal(preview('a\n\n\tb\u202ec'), 'a b c');
});

test('what looks like a secret is taken out, and the rest is left', () => {
  const secrets: Record<string, string> = {
    'curl -H "Authorization: Bearer abcdefgh12345678" https://x.example': 'abcdefgh12345678',
    'export OPENAI_API_KEY=sk-proj-abcdef1234567890': 'abcdef1234567890',
    '{"password":"hunter2"}': 'hunter2',
    '{\\"token\\":\\"t0ken-value\\"}': 't0ken-value',
    'git clone https://me:s3cret@host.example/x': 's3cret',
    'aws AKIAIOSFODNN7EXAMPLE': 'IOSFODNN7',
    'echo ZXlKaGJHY2lPaUpJVXpJMU5pSjkx': 'ZXlKaGJHY2',
    '-----BEGIN PRIVATE KEY-----\nMIIEvQ': 'MIIEvQ',
    'mysql --password=topsecret -u root': 'topsecret',
  };
  for (const [text, secret] of Object.entries(secrets)) {
    const shown = preview(text);
    assert.ok(!shown.includes(secret), shown);
    assert.match(shown, /\[…\]/);
  }
  for (const text of ['rm -rf node_modules/.cache', '{"command":"ls -la /var/log"}', 'npm run build:release'])
    assert.equal(preview(text), text);
});

test('a detector of the operator runs besides the built-in rules', () => {
  const shown = hide('call +41 44 123 45 67, token=abc', (text) => text.replace(/\+41[\d ]+/, '<PHONE>'));
  assert.equal(shown, 'call <PHONE>, token=[…]');
});

test('who asks for more shows why, not arguments', () => {
  const asked = question({
    subject: { kind: 'model', model: 'a/b' },
    context: { excerpt: 'for the\nrelease' },
  });
  assert.equal(previewOf(asked, same), 'for the release');
});
