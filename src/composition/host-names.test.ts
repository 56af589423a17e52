import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bracketed, hostsAt, withoutPort, withShortName } from './host-names.ts';

test('a name counts bare and with each port; one that bears a port counts as it is', () => {
  assert.deepEqual(
    hostsAt(['AI.example.net', 'b.test:8443', '100.64.0.1', 'fd7a::1', '[fd7a::2]:90'], [80, 8080]),
    [
      'ai.example.net',
      'ai.example.net:80',
      'ai.example.net:8080',
      'b.test:8443',
      '100.64.0.1',
      '100.64.0.1:80',
      '100.64.0.1:8080',
      '[fd7a::1]',
      '[fd7a::1]:80',
      '[fd7a::1]:8080',
      '[fd7a::2]:90',
    ],
  );
});

test('a MagicDNS name is known by its first label too', () => {
  assert.deepEqual(withShortName('gateway.tail1.ts.net'), ['gateway.tail1.ts.net', 'gateway']);
  assert.deepEqual(withShortName('gateway'), ['gateway']);
  assert.deepEqual(withShortName(null), []);
});

test('addresses are written as a URL has them, and certificates name them bare', () => {
  assert.deepEqual(['::1', '127.0.0.1', 'localhost'].map(bracketed), ['[::1]', '127.0.0.1', 'localhost']);
  assert.deepEqual(['[::1]:80', 'a.test:80', 'a.test', '[::1]'].map(withoutPort), [
    '::1',
    'a.test',
    'a.test',
    '::1',
  ]);
});
