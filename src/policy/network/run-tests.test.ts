import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runNetworkTests } from './run-tests.ts';
import { BOB_LAPTOP, grant, network } from './test-network.ts';

function failuresOf(sections: object, world: object = {}): readonly string[] {
  return runNetworkTests(network(sections, world)).map(
    ({ path, source, target, expected, got }) => `${path} ${source} -> ${target}: ${expected}, ${got}`,
  );
}

const GRANTS = [grant(['group:eng'], ['tag:server'], { ip: ['tcp:443'] })];

test('tests that hold say nothing', () => {
  const tests = [
    { src: 'alice@example.com', accept: ['tag:server:443'], deny: ['tag:server:22', 'tag:db:443'] },
    { src: 'bob@example.com', deny: ['tag:server:443'] },
    { src: '100.64.0.1', accept: ['100.64.0.4:443'] },
    { src: 'alice@example.com', proto: 'udp', deny: ['tag:server:443'] },
  ];
  assert.deepEqual(failuresOf({ grants: GRANTS, tests }), []);
});

test('a failing test says from whom to what, and the rule that allows too much', () => {
  const tests = [
    { src: 'group:eng', deny: ['tag:server:443'] },
    { src: 'bob@example.com', accept: ['tag:server:443'] },
  ];
  assert.deepEqual(failuresOf({ grants: GRANTS, tests }), [
    'tests[0] group:eng -> tag:server:443: denied, accepted from device 1 to device 4 by grants[0]',
    'tests[1] bob@example.com -> tag:server:443: accepted, denied from device 3 to device 4: no rule allows it',
  ]);
});

test('a policy is tested before anybody has joined: people and tags without devices count', () => {
  const tests = [
    { src: 'dave@example.com', accept: ['tag:server:443'], deny: ['tag:unused:443'] },
    { src: 'tag:server', deny: ['group:eng:22'] },
  ];
  assert.deepEqual(failuresOf({ grants: GRANTS, tests }, { users: [], nodes: [] }), []);
  const failing = [{ src: 'dave@example.com', accept: ['tag:unused:443'] }];
  assert.equal(failuresOf({ grants: GRANTS, tests: failing }, { users: [], nodes: [] }).length, 1);
});

test('accept must hold for every source and every destination', () => {
  const grants = [grant(['alice@example.com'], ['tag:server'])];
  const tests = [{ src: 'autogroup:member', accept: ['tag:server:22'] }];
  assert.match(failuresOf({ grants, tests }).join(), /denied from device 3/);
});

test('a test whose source is nobody fails: it would say nothing', () => {
  const tests = [{ src: 'group:nobody', deny: ['tag:server:443'] }];
  const groups = { 'group:eng': [], 'group:nobody': [] };
  assert.match(failuresOf({ groups, grants: [], tests }).join(), /the source is nobody/);
  const shared = [{ src: 'autogroup:auditor', accept: ['tag:server:443'] }];
  assert.match(failuresOf({ grants: GRANTS, tests: shared }).join(), /accepted, the source is nobody/);
});

test('autogroup:self is the devices of the one who asks; a tag has none', () => {
  const grants = [grant(['autogroup:member'], ['autogroup:self'])];
  const holds = [{ src: 'alice@example.com', accept: ['autogroup:self:22'], deny: ['bob@example.com:22'] }];
  assert.deepEqual(failuresOf({ grants, tests: holds }), []);
  assert.match(
    failuresOf({ grants, tests: [{ src: 'tag:server', deny: ['autogroup:self:22'] }] }).join(),
    /the destination is nothing/,
  );
});

test('`*` as a destination means also a device that no rule names', () => {
  const tests = [{ src: 'alice@example.com', accept: ['*:443'] }];
  assert.match(failuresOf({ grants: GRANTS, tests }).join(), /denied/);
  assert.deepEqual(failuresOf({ grants: [grant(['*'], ['*'])], tests }), []);
  assert.deepEqual(failuresOf({ tests }), [], 'the open policy allows it');
});

test('an address behind a router is reached by the rules that name it', () => {
  const grants = [grant(['bob@example.com'], ['office'], { ip: ['631'] })];
  const tests = [{ src: 'bob@example.com', accept: ['printer:631'], deny: ['printer:22', '10.1.9.9:631'] }];
  assert.deepEqual(failuresOf({ grants, tests }), []);
});

test('an address behind a router as a source: `*` includes it only if its subnet is approved', () => {
  const grants = [grant(['*'], ['tag:server'])];
  assert.deepEqual(failuresOf({ grants, tests: [{ src: 'printer', accept: ['tag:server:22'] }] }), []);
  assert.deepEqual(failuresOf({ grants, tests: [{ src: '203.0.113.9', deny: ['tag:server:22'] }] }), []);
});

test('SSH tests tell accept, check and deny apart; a check is an accept, not the other way round', () => {
  const ssh = [
    { action: 'check', src: ['group:eng'], dst: ['tag:server'], users: ['root'] },
    { action: 'accept', src: ['group:eng'], dst: ['tag:server'], users: ['deploy'] },
  ];
  const of = (more: object): readonly string[] =>
    failuresOf({ ssh, sshTests: [{ src: 'alice@example.com', dst: ['tag:server'], ...more }] });
  assert.deepEqual(of({ accept: ['root', 'deploy'], check: ['root'], deny: ['postgres'] }), []);
  assert.match(
    of({ check: ['deploy'] }).join(),
    /sshTests\[0\] alice@example.com -> deploy@tag:server: checked, accepted from device 1 to device 4 by ssh\[1\]/,
  );
  assert.match(of({ deny: ['root'] }).join(), /denied, checked/);
  assert.match(of({ accept: ['postgres'] }).join(), /accepted, denied/);
  assert.match(
    failuresOf({ ssh, sshTests: [{ src: 'tag:db', dst: ['autogroup:self'], deny: ['root'] }] }).join(),
    /the destination is nothing/,
  );
});

test('tests that name too much are failed, not run for ever', () => {
  const nodes = Array.from({ length: 1500 }, (_, index) => ({
    id: index + 1,
    userId: BOB_LAPTOP,
    tags: ['tag:server'],
    addresses: [],
    routes: [],
  }));
  const grants = Array.from({ length: 5 }, () => grant(['tag:server'], ['tag:server']));
  const tests = [{ src: 'tag:server', accept: ['tag:server:22'] }];
  const denied = [{ src: 'tag:server', deny: ['tag:server:22', 'tag:server:23'] }];
  assert.match(failuresOf({ grants: [], tests: denied }, { nodes }).join(), /not tested/);
  assert.match(failuresOf({ grants, tests }, { nodes }).join(), /not tested: the tests name too many/);
});
