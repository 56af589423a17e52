import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forwardableHeaders, forwardableQuery } from './request-headers.ts';

test('no credential of the caller goes upstream, whichever header it is in (DESIGN section 3, step 6)', () => {
  const names = [
    'Authorization',
    'x-api-key',
    'X-Goog-Api-Key',
    'api-key',
    'Cookie',
    'x-amz-security-token',
    'X-Amz-Date',
    'X-Postern-Authorization',
    'Proxy-Authorization',
  ];
  for (const name of names) assert.deepEqual(forwardableHeaders([name, 'secret'], null), [], name);
});

test('nothing that tells where the caller sits, and none of our own labels, goes upstream', () => {
  const names = [
    'Host',
    'X-Forwarded-For',
    'Forwarded',
    'Via',
    'Tailscale-User-Login',
    'x-postern-session',
    'Origin',
    'Sec-Fetch-Site',
    'Accept-Encoding',
    'Expect',
  ];
  for (const name of names) assert.deepEqual(forwardableHeaders([name, 'x'], null), [], name);
});

test('everything else passes as it was written', () => {
  const raw = ['anthropic-beta', 'a,b', 'X-Stainless-Lang', 'js', 'User-Agent', 'x', 'x-app', 'cli'];
  assert.deepEqual(forwardableHeaders(raw, null), raw);
});

test('passthrough keeps exactly one credential header', () => {
  const raw = ['Authorization', 'Bearer mine', 'x-api-key', 'other'];
  assert.deepEqual(forwardableHeaders(raw, 'authorization'), ['Authorization', 'Bearer mine']);
});

test('credentials in the query are dropped, encoded names too; the rest keeps bytes and order', () => {
  assert.equal(forwardableQuery('beta=true&key=abc&alt=sse'), 'beta=true&alt=sse');
  assert.equal(forwardableQuery('%6bey=abc&b=%2F'), 'b=%2F');
  assert.equal(forwardableQuery('X-Amz-Signature=1&a=1'), 'a=1');
  assert.equal(forwardableQuery(''), '');
});
