/** Saves of a tailnet's policy (issue 6, "Policy"): refused for its own tests, with their lines; a start never is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TailnetsPort } from '../api/tailnets-port.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { silentLogger } from '../base/log.ts';
import {
  keyOf,
  openCoordinatorBed,
  type CoordinatorBed,
} from '../tailnet/control/coordinator-bed.fixture.ts';
import { createNetworkCompiler, PolicyTestsFailed, policyTag } from './control-policy.ts';
import { createTailnetsPort } from './control-view.ts';

const RULES = '"grants": [{ "src": ["alice@example.com"], "dst": ["tag:web"], "ip": ["tcp:443"] }]';
const HOLDS = `{ "tagOwners": { "tag:web": [] }, ${RULES},
  "tests": [{ "src": "alice@example.com", "accept": ["tag:web:443"], "deny": ["tag:web:22"] }] }`;
const FAILS = `{ "tagOwners": { "tag:web": [] }, ${RULES},
  "tests": [
    { "src": "alice@example.com", "accept": ["tag:web:443"] },
    { "src": "alice@example.com", "accept": ["tag:web:22"] }] }`;
const SSH_FAILS = `{ "tagOwners": { "tag:web": [] }, ${RULES},
  "sshTests": [{ "src": "alice@example.com", "dst": ["tag:web"], "accept": ["root"] }] }`;

async function openBed(logger: Logger = silentLogger): Promise<CoordinatorBed> {
  return openCoordinatorBed({ compiler: createNetworkCompiler(), logger });
}

function portOf({ admin }: Pick<CoordinatorBed, 'admin'>): TailnetsPort {
  return createTailnetsPort({ admin, loginServer: () => 'http://localhost' } as Parameters<
    typeof createTailnetsPort
  >[0]);
}

test('a policy whose own tests fail is refused with line, test, what was wanted and what it got; the old one stays', async () => {
  const bed = await openBed();
  const home = await bed.add('home');
  await bed.admin.changeTailnet(home, { policy: HOLDS });
  for (const [policy, line, path, words] of [
    [
      FAILS,
      4,
      'tests[1]',
      /line 4: alice@example\.com to tag:web:22 should be accepted: denied from .* no rule allows it/,
    ],
    [SSH_FAILS, 2, 'sshTests[0]', /line 2: alice@example\.com to root@tag:web should be accepted: denied/],
  ] as const)
    await assert.rejects(bed.admin.changeTailnet(home, { policy }), (error: unknown) => {
      assert.ok(error instanceof PolicyTestsFailed);
      assert.equal(error.code, 'network_policy_tests');
      assert.match(error.message, words);
      assert.deepEqual(
        error.failures.map((failure) => [failure.path, failure.line]),
        [[path, line]],
      );
      return true;
    });
  assert.equal(home.record.policy, HOLDS);
});

test('a tailnet is not made with such a policy', async () => {
  const bed = await openBed();
  await assert.rejects(
    bed.admin.createTailnet({ name: 'home', kind: 'people', policy: FAILS }),
    PolicyTestsFailed,
  );
  assert.deepEqual(bed.admin.tailnets(), []);
});

test('a stored policy holds at a start, whatever its tests say by then, and other settings can be changed', async () => {
  const errors: string[] = [];
  const bed = await openBed({ ...silentLogger, error: (message) => void errors.push(message) });
  const home = await bed.add('home');
  await bed.admin.changeTailnet(home, { policy: HOLDS });
  await bed.coordinator.ledger.durable();
  const [record] = await bed.store
    .listControlRecords()
    .then((all) => all.filter(({ kind }) => kind === 'tailnet'));
  assert.ok(record !== undefined);
  const body = JSON.stringify({ ...JSON.parse(record.body), policy: FAILS });
  await bed.store.writeControlRecords([{ ...record, body }], []);
  const again = await bed.reopen();
  const [tailnet] = again.admin.tailnets();
  assert.ok(tailnet !== undefined);
  assert.equal(tailnet.record.policy, FAILS);
  assert.deepEqual(errors, []);
  const joins = async (name: string, tags: string[]): Promise<number> => {
    const authKey = await again.key(tailnet, { tags });
    return again.join(keyOf(`m${name}`), { nodeKey: keyOf(`n${name}`), authKey }).id;
  };
  const [laptop, web] = [await joins('laptop', []), await joins('web', ['tag:web'])];
  assert.deepEqual([...tailnet.rules.peersOf(laptop)], [web]);
  await again.admin.changeTailnet(tailnet, { keyExpiryDays: 7 });
  assert.equal(tailnet.record.keyExpiryDays, 7);
});

test('at most 100 failing tests are told, five of them in the message', async () => {
  const bed = await openBed();
  const home = await bed.add('home');
  const tests = Array.from({ length: 150 }, () => ({ src: 'alice@example.com', accept: ['tag:web:22'] }));
  const policy = JSON.stringify({ tagOwners: { 'tag:web': [] }, grants: [], tests });
  await assert.rejects(bed.admin.changeTailnet(home, { policy }), (error: unknown) => {
    assert.ok(error instanceof PolicyTestsFailed);
    assert.equal(error.failures.length, 100);
    assert.match(error.message, /; and 145 more$/);
    assert.ok(error.message.length < 2_000);
    return true;
  });
});

test('a change over another policy than the one in force is refused, with settings that came along', async () => {
  const bed = await openBed();
  await bed.add('home');
  const port = portOf(bed);
  const read = port.get('home').policyTag;
  assert.equal(read, policyTag(null));
  const saved = await port.change('home', { policy: HOLDS, overPolicy: read });
  assert.equal(saved.policyTag, policyTag(HOLDS));
  assert.notEqual(saved.policyTag, read);
  await assert.rejects(
    port.change('home', { policy: null, keyExpiryDays: 7, overPolicy: read }),
    (error: unknown) => error instanceof AppError && error.code === 'network_policy_overtaken',
  );
  assert.equal(port.get('home').policy, HOLDS);
  assert.equal(port.get('home').keyExpiryDays, 180);
  await port.change('home', { policy: null, overPolicy: '*' });
  assert.equal(port.get('home').policyTag, read);
});

test('DNS is set whole; what resolves nowhere is refused, and nothing of it kept', async () => {
  const bed = await openBed();
  await bed.add('home');
  const port = portOf(bed);
  const dns = {
    magicDns: false,
    resolvers: ['9.9.9.9'],
    split: { 'corp.example': ['10.0.0.53', 'fd00::53'] },
    searchDomains: ['corp.example'],
    extraRecords: [{ name: 'wiki.corp.example', value: '100.64.0.7' }],
  };
  assert.deepEqual(await port.setDns('home', dns), dns);
  for (const [why, change] of [
    [/a resolver is an IP address, got "dns\.example"/, { resolvers: ['dns.example'] }],
    [/a resolver is an IP address/, { split: { 'corp.example': ['nowhere'] } }],
    [/"\*\.corp" is no domain name/, { split: { '*.corp': ['10.0.0.53'] } }],
    [/"a b" is no domain name/, { searchDomains: ['a b'] }],
    [/the value of a DNS record is an IP address/, { extraRecords: [{ name: 'a.b', value: 'c.d' }] }],
    [/at most 1000 entries/, { resolvers: Array.from({ length: 1001 }, () => '9.9.9.9') }],
  ] as const)
    await assert.rejects(port.setDns('home', { ...dns, ...change }), why);
  assert.deepEqual(port.dns('home'), dns);
  await assert.rejects(port.setDns('other', dns), /no such tailnet/);
});
