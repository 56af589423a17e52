import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ParsedDocument } from './document.ts';
import { parseGatewayDocument } from './parse-document.ts';
import { mayReadStoredInput } from './stored-inputs.ts';

function withStored(value: string | null): ParsedDocument {
  const key = value === null ? '' : `, "allow_stored_inputs": ${value}`;
  const text = `{"providers": {"p": {"baseurl": "https://x.test", "models": ["m"]${key}}}}`;
  return parseGatewayDocument(text, { source: 'api', adminsElsewhere: true });
}

test('allow_stored_inputs: nothing is allowed that the document does not allow (DESIGN section 12)', () => {
  for (const value of [null, 'false', '[]']) {
    const allowed = withStored(value).document.providers.get('p')?.storedInputs;
    assert.deepEqual(allowed, [], String(value));
    assert.equal(mayReadStoredInput(allowed ?? 'any', 'gs://team/a.png'), false);
  }
  assert.equal(withStored('true').document.providers.get('p')?.storedInputs, 'any');
  assert.equal(mayReadStoredInput('any', 's3://anything/at all'), true);
});

test('allow_stored_inputs: a prefix holds for what lies below it, an object for itself', () => {
  const allowed = withStored('["gs://team/in/", "s3://papers/one.pdf"]').document.providers.get(
    'p',
  )?.storedInputs;
  assert.ok(Array.isArray(allowed));
  for (const address of ['gs://team/in/a.png', 'gs://team/in/deep/b', 's3://papers/one.pdf'])
    assert.equal(mayReadStoredInput(allowed, address), true, address);
  for (const address of [
    'gs://team/other',
    'gs://team/in',
    'gs://team2/in/a.png',
    's3://team/in/a.png',
    's3://papers/one.pdf.bak',
    'GS://team/in/a.png',
    ' gs://team/in/a.png',
    'gs://team/in/../secret',
    'gs://team/in/..',
    'gs://team/in/%2e%2E/secret',
    'gs://team/in/./a',
    '',
  ])
    assert.equal(mayReadStoredInput(allowed, address), false, address);
});

test('allow_stored_inputs: what is no address switches the provider off', () => {
  for (const value of [
    '["gs://team"]',
    '["https://x.test/"]',
    '["gs://*/"]',
    '["gs://a/../"]',
    '[1]',
    '"any"',
  ]) {
    const { document, problems } = withStored(value);
    assert.ok(
      problems.some(({ path }) => path.startsWith('providers.p.allow_stored_inputs')),
      value,
    );
    assert.ok(!document.providers.has('p'), value);
  }
});
