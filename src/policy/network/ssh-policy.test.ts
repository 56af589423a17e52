import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE_LAPTOP, ALICE_PHONE, BOB_LAPTOP, DATABASE, network, SERVER } from './test-network.ts';
import type { CompiledNetwork } from './compiled-network.ts';

const ACCEPT = {
  accept: true,
  allowAgentForwarding: true,
  allowLocalPortForwarding: true,
  allowRemotePortForwarding: true,
};

/** IPv4 principals, users and action of each rule. */
function rulesOf(compiled: CompiledNetwork, nodeId: number): readonly unknown[] {
  return (compiled.sshPolicyOf(nodeId)?.rules ?? []).map(({ principals, sshUsers, action, acceptEnv }) => [
    principals.map(({ nodeIP }) => nodeIP).filter((text) => !text.includes(':')),
    sshUsers,
    action.holdAndDelegate === undefined ? 'accept' : 'check',
    ...(acceptEnv === undefined ? [] : [acceptEnv]),
  ]);
}

test('a policy without ssh has none; an empty one lets nobody in', () => {
  assert.equal(network({ grants: [] }).sshPolicyOf(SERVER), null);
  assert.deepEqual(network({ grants: [], ssh: [] }).sshPolicyOf(SERVER), { rules: [] });
});

test('principals are the addresses of the sources; root only if it is named', () => {
  const compiled = network({
    ssh: [
      {
        action: 'accept',
        src: ['bob@example.com'],
        dst: ['tag:server'],
        users: ['autogroup:nonroot', 'deploy'],
        acceptEnv: ['LC_*'],
      },
    ],
  });
  assert.deepEqual(rulesOf(compiled, SERVER), [
    [['100.64.0.3'], { '*': '=', root: '', deploy: 'deploy' }, 'accept', ['LC_*']],
  ]);
  assert.deepEqual(compiled.sshPolicyOf(SERVER)?.rules[0]?.action, ACCEPT);
  assert.deepEqual(rulesOf(compiled, DATABASE), []);
});

test('autogroup:self lets people into their own devices only', () => {
  const compiled = network({
    ssh: [{ action: 'accept', src: ['autogroup:member'], dst: ['autogroup:self'], users: ['root'] }],
  });
  assert.deepEqual(rulesOf(compiled, ALICE_PHONE), [
    [['100.64.0.1', '100.64.0.2'], { root: 'root' }, 'accept'],
  ]);
  assert.deepEqual(rulesOf(compiled, BOB_LAPTOP), [[['100.64.0.3'], { root: 'root' }, 'accept']]);
  assert.deepEqual(rulesOf(compiled, SERVER), []);
});

test('checks stand before accepts, so that the stricter of two rules decides', () => {
  const rule = { src: ['bob@example.com'], dst: ['tag:server'], users: ['root'] };
  const compiled = network({
    ssh: [
      { ...rule, action: 'accept' },
      { ...rule, action: 'check', checkPeriod: '1h30m' },
    ],
  });
  assert.deepEqual(
    rulesOf(compiled, SERVER).map((one) => (Array.isArray(one) ? one[2] : '')),
    ['check', 'accept'],
  );
  const verdict = compiled.sshVerdict(BOB_LAPTOP, SERVER, 'root');
  assert.deepEqual([verdict?.action, verdict?.checkPeriodSec, verdict?.rule.path], ['check', 5400, 'ssh[1]']);
});

test('the check period is 12 h where none is written, 0 for always', () => {
  const rule = { action: 'check', src: ['bob@example.com'], dst: ['tag:server'] };
  const compiled = network({
    ssh: [
      { ...rule, users: ['root'] },
      { ...rule, users: ['deploy'], checkPeriod: 'always' },
    ],
  });
  assert.equal(compiled.sshVerdict(BOB_LAPTOP, SERVER, 'root')?.checkPeriodSec, 43_200);
  assert.equal(compiled.sshVerdict(BOB_LAPTOP, SERVER, 'deploy')?.checkPeriodSec, 0);
});

test('a device asks about a check where the world says', () => {
  const rule = { action: 'check', src: ['bob@example.com'], dst: ['tag:server'], users: ['root'] };
  const compiled = network({ ssh: [rule] }, { sshCheckUrl: 'https://unused/check/$SRC_NODE_ID' });
  assert.deepEqual(compiled.sshPolicyOf(SERVER)?.rules[0]?.action, {
    holdAndDelegate: 'https://unused/check/$SRC_NODE_ID',
  });
});

test('localpart: people of the domain log in under their own name; nobody becomes root by it', () => {
  const rule = {
    action: 'accept',
    src: ['autogroup:member'],
    dst: ['tag:server'],
    users: ['localpart:*@example.com'],
  };
  const compiled = network({ ssh: [rule] });
  assert.deepEqual(rulesOf(compiled, SERVER), [
    [['100.64.0.1', '100.64.0.2'], { root: '' }, 'accept'],
    [['100.64.0.1', '100.64.0.2'], { alice: 'alice' }, 'accept'],
    [['100.64.0.3'], { root: '' }, 'accept'],
    [['100.64.0.3'], { bob: 'bob' }, 'accept'],
  ]);
  assert.deepEqual(rulesOf(compiled, ALICE_LAPTOP), [], 'the rule is about the servers alone');
  const root = { id: 2, login: 'root@example.com', groups: [], role: 'member' } as const;
  const tricked = network({ ssh: [rule] }, { users: [root] });
  assert.equal(tricked.sshVerdict(BOB_LAPTOP, SERVER, 'root'), null);
  assert.deepEqual(rulesOf(tricked, SERVER).at(-1), [['100.64.0.3'], { root: '' }, 'accept']);
});

test('a login that no rule names is refused, of unknown devices any', () => {
  const compiled = network({
    ssh: [{ action: 'accept', src: ['bob@example.com'], dst: ['tag:server'], users: ['autogroup:nonroot'] }],
  });
  assert.equal(compiled.sshVerdict(BOB_LAPTOP, SERVER, 'root'), null);
  assert.equal(compiled.sshVerdict(ALICE_LAPTOP, SERVER, 'deploy'), null);
  assert.equal(compiled.sshVerdict(BOB_LAPTOP, DATABASE, 'deploy'), null);
  assert.equal(compiled.sshVerdict(BOB_LAPTOP, 99, 'deploy'), null);
  assert.equal(compiled.sshVerdict(BOB_LAPTOP, SERVER, 'deploy')?.action, 'accept');
});

test('a user of the host called __proto__ is a user', () => {
  const rule = { action: 'accept', src: ['bob@example.com'], dst: ['tag:server'], users: ['__proto__'] };
  const compiled = network({ ssh: [rule] });
  assert.equal(
    JSON.stringify(compiled.sshPolicyOf(SERVER)?.rules[0]?.sshUsers),
    '{"root":"","__proto__":"__proto__"}',
  );
});

test('principals are limited: beyond it nobody is let in', () => {
  const nodes = Array.from({ length: 2000 }, (_, index) => ({
    id: index + 1,
    userId: null,
    tags: ['tag:server'],
    addresses: [`100.64.${index >> 8}.${index & 255}`],
    routes: [],
  }));
  const rule = { action: 'accept', src: ['tag:server'], dst: ['tag:server'], users: ['root'] };
  const compiled = network({ ssh: Array.from({ length: 60 }, () => rule) }, { nodes });
  assert.equal(compiled.sshPolicyOf(1)?.rules.length, 50);
});
