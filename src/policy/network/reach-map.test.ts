import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapReach, type ReachMap } from './reach-map.ts';
import { ALICE_LAPTOP, grant, network } from './test-network.ts';

/** Links as `from -> to: traffic`, by the names of their ends. */
function drawn({ groups, links }: ReachMap): readonly string[] {
  const name = (id: string): string => groups.find((group) => group.id === id)?.names.join('+') ?? id;
  return links
    .map(({ from, to, traffic, behind, isPartial }) =>
      [
        `${name(from)} -> ${name(to)}: ${traffic.join(' ')}`,
        ...(behind.length > 0 ? [`behind ${behind.join(' ')}`] : []),
        ...(isPartial ? ['partly'] : []),
      ].join(', '),
    )
    .sort();
}

test('a grant is a link from those who ask to those who are asked, with its traffic', () => {
  const map = mapReach(
    network({ grants: [grant(['alice@example.com'], ['tag:server'], { ip: ['tcp:443', 'udp:1-9', '22'] })] }),
  );
  assert.deepEqual(drawn(map), ['alice@example.com -> tag:server: 22 tcp:443 udp:1-9']);
  assert.equal(map.isComplete, true);
});

test('people who are treated alike are one group; machines of other tags are not', () => {
  const map = mapReach(network({ grants: [grant(['*'], ['*'])] }));
  assert.deepEqual(
    map.groups.filter(({ kind }) => kind === 'people').map(({ names }) => names),
    [['alice@example.com', 'bob@example.com']],
  );
  assert.equal(map.groups.filter(({ kind }) => kind === 'tags').length, 4);
});

test('people who reach their own devices alone are one group, partly linked to itself', () => {
  const map = mapReach(network({ grants: [grant(['autogroup:member'], ['autogroup:self'])] }));
  assert.deepEqual(drawn(map), [
    'alice@example.com+bob@example.com -> alice@example.com+bob@example.com: *, partly',
  ]);
});

test('one device of several is said to be a part', () => {
  const map = mapReach(network({ grants: [grant([`100.64.0.${ALICE_LAPTOP}`], ['tag:db'])] }));
  assert.deepEqual(drawn(map), ['alice@example.com -> tag:db: *, partly']);
});

test('a subnet is behind its router', () => {
  const map = mapReach(network({ grants: [grant(['bob@example.com'], ['office'])] }));
  assert.deepEqual(drawn(map), ['bob@example.com -> tag:router: , behind 10.1.2.0/24']);
});

test('capabilities alone and a policy that allows nothing draw no link', () => {
  assert.deepEqual(mapReach(network({ grants: [] })).links, []);
  const app = { app: { 'example.com/cap/x': [{}] } };
  assert.deepEqual(mapReach(network({ grants: [grant(['*'], ['tag:db'], app)] })).links, []);
});

test('2,000 devices are drawn whole', () => {
  const nodes = Array.from({ length: 2_000 }, (_, index) => ({
    id: index + 1,
    userId: null,
    tags: [index % 2 === 0 ? 'tag:server' : 'tag:db'],
    addresses: [`100.64.${(index + 1) >> 8}.${(index + 1) & 255}`],
    routes: [],
  }));
  const map = mapReach(network({ grants: [grant(['tag:db'], ['tag:server'])] }, { nodes }));
  assert.deepEqual(drawn(map), ['tag:db -> tag:server: *']);
  assert.equal(map.isComplete, true);
});
