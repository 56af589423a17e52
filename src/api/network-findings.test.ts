/** What the doctor says of the joined network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkFindings, type NetworkFacts } from './network-findings.ts';

const FINE: NetworkFacts = {
  state: 'running',
  loginServer: 'https://headscale.example.net',
  name: 'ai.tail1.example.net',
  control: 'running',
  problem: null,
  keyExpiresAt: null,
  health: [],
  now: 0,
};
const DAY_MS = 86_400_000;

test('a network that runs is fine, and each thing that will end it is a warning', () => {
  const levels = (facts: Partial<NetworkFacts>): string =>
    networkFindings({ ...FINE, ...facts })
      .map(({ level }) => level)
      .join();
  assert.equal(levels({}), 'ok');
  assert.equal(levels({ keyExpiresAt: 15 * DAY_MS }), 'ok');
  assert.equal(levels({ keyExpiresAt: 13 * DAY_MS }), 'ok,warning');
  assert.equal(levels({ control: 'offline', health: ['no relay'] }), 'ok,warning,warning');
  assert.equal(levels({ state: 'needs_login' }), 'warning');
  assert.equal(levels({ state: 'starting' }), 'warning');
  assert.equal(levels({ state: 'failed' }), 'problem');
  assert.equal(levels({ state: 'off', problem: 'joined.json is damaged' }), 'problem');
});

test('a problem is told with what to do', () => {
  const [found] = networkFindings({ ...FINE, state: 'failed', problem: 'the auth key is not valid' });
  assert.match(found?.message ?? '', /headscale\.example\.net is not joined: the auth key is not valid/);
  assert.equal(found?.fix, 'postern up --status');
});
