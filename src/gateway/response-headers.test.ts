import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterAnswerHeaders } from './response-headers.ts';

test("a stranger's answer sets no state and opens no origin (DESIGN section 4)", () => {
  const unsafe = [
    'Set-Cookie',
    'Access-Control-Allow-Origin',
    'Refresh',
    'Clear-Site-Data',
    'Content-Security-Policy',
    'Location',
    'X-Postern-Reason',
    'Connection',
    'Transfer-Encoding',
  ];
  for (const name of unsafe) assert.deepEqual(filterAnswerHeaders([name, 'x'], true).headers, [], name);
});

test('what the provider says to its client passes with its spelling', () => {
  const raw = [
    'Content-Type',
    'text/event-stream',
    'x-RateLimit-Remaining',
    '7',
    'anthropic-organization-id',
    'o',
    'X-Unknown',
    'ü',
  ];
  assert.deepEqual(filterAnswerHeaders(raw, true).headers, raw);
});

test('headers that Connection names are hop-by-hop (RFC 9110 section 7.6.1)', () => {
  const { headers } = filterAnswerHeaders(['Connection', 'close, X-Hop', 'X-Hop', '1', 'X-End', '2'], true);
  assert.deepEqual(headers, ['X-End', '2']);
});

test('the length passes only where the body is not changed on its way', () => {
  assert.deepEqual(filterAnswerHeaders(['Content-Length', '5'], true).headers, ['Content-Length', '5']);
  const changed = filterAnswerHeaders([Buffer.from('Content-Length'), Buffer.from('5')], false);
  assert.deepEqual(changed.headers, []);
  assert.equal(changed.contentLength, 5);
});
