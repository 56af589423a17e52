import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainReach } from './explain-reach.ts';
import { grant, network } from './test-network.ts';

const GRANTS = [
  grant(['group:eng'], ['tag:server'], { ip: ['tcp:443'] }),
  grant(['bob@example.com'], ['tag:server'], { app: { 'example.com/cap/x': [{}] } }),
];

test('what is allowed names the rule and its line', () => {
  const explained = explainReach(network({ grants: GRANTS }), {
    source: 'alice@example.com',
    destination: 'tag:server',
    port: 443,
  });
  assert.equal(explained.allowed, true);
  assert.deepEqual(
    explained.pairs.map(({ rule }) => rule),
    ['grants[0]', 'grants[0]'],
  );
  assert.equal(
    explained.text,
    'alice@example.com may reach tag:server on port 443: grants[0] (line 1) allows it',
  );
});

test('what is refused names the nearest rules, what they miss, and a grant that would allow it', () => {
  const explained = explainReach(network({ grants: GRANTS }), {
    source: 'alice@example.com',
    destination: 'tag:server',
    port: 22,
    protocol: 'tcp',
  });
  assert.equal(explained.allowed, false);
  assert.deepEqual(
    explained.nearest.map(({ rule, misses }) => [rule, misses]),
    [
      ['grants[0]', 'traffic'],
      ['grants[1]', 'source'],
    ],
  );
  assert.match(explained.text, /grants\[0\] \(line 1\) does not: it names other ports or protocols/);
  assert.match(
    explained.text,
    /\{ "src": \["alice@example.com"\], "dst": \["tag:server"\], "ip": \["tcp:22"\] \}/,
  );
});

test('the grant that it proposes does allow it', () => {
  const question = { source: 'bob@example.com', destination: 'tag:db', port: 5432 };
  const before = explainReach(network({ grants: GRANTS }), question);
  const proposed = /this grant would allow it: (\{.*\})/.exec(before.text)?.[1] ?? '';
  const after = explainReach(network({ grants: [...GRANTS, JSON.parse(proposed)] }), question);
  assert.deepEqual([before.allowed, after.allowed], [false, true]);
});

test('a grant of capabilities alone is told from one of traffic', () => {
  const explained = explainReach(network({ grants: GRANTS }), {
    source: 'bob@example.com',
    destination: 'tag:server',
    port: 443,
  });
  assert.deepEqual(explained.nearest[0], { rule: 'grants[1]', line: 1, misses: 'app_only' });
});

test('ends may be devices by number, addresses, hosts and groups of sign-in', () => {
  const compiled = network({ grants: [grant(['group:oncall'], ['office'])] });
  const ask = (source: string, destination: string): boolean =>
    explainReach(compiled, { source, destination, port: 9 }).allowed;
  assert.equal(ask('3', 'printer'), true);
  assert.equal(ask('100.64.0.3', '10.1.2.9'), true);
  assert.equal(ask('group:oncall', 'office'), true);
  assert.equal(ask('1', 'printer'), false);
  assert.equal(ask('3', '10.1.3.9'), false);
});

test('the open policy is named as the reason', () => {
  assert.match(
    explainReach(network({}), { source: '1', destination: '2', port: 1 }).text,
    /the open policy \(no grants and no acls\) allows it/,
  );
});

for (const [what, question, expected] of [
  ['an unknown device', { source: '99', destination: '1', port: 1 }, /99 is nobody/],
  ['an undefined tag', { source: '1', destination: 'tag:x', port: 1 }, /tag:x is nothing/],
  ['port 0', { source: '1', destination: '2', port: 0 }, /a port is 1 to 65535/],
  ['an unknown protocol', { source: '1', destination: '2', port: 1, protocol: 'http' }, /no protocol/],
] as const) {
  test(`a question that cannot be asked says why: ${what}`, () => {
    const { allowed, fault } = explainReach(network({}), question);
    assert.equal(allowed, false);
    assert.match(fault ?? '', expected);
  });
}

test('a question about too many devices is refused, not answered for some of them', () => {
  const nodes = Array.from({ length: 1500 }, (_, index) => ({
    id: index + 1,
    userId: null,
    tags: ['tag:server'],
    addresses: [],
    routes: [],
  }));
  const compiled = network({ grants: [grant(['tag:server'], ['tag:server'])] }, { nodes });
  const { allowed, fault } = explainReach(compiled, { source: 'tag:server', destination: '*', port: 1 });
  assert.equal(allowed, false);
  assert.match(fault ?? '', /too many devices to ask about at once/);
});
