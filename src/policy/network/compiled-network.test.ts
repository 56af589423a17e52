import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { compileNetworkPolicy, type CompiledNetwork } from './compiled-network.ts';
import { overlapsAny, parseIpRange, type IpRange } from './ip-ranges.ts';
import { parseNetworkPolicy } from './parse-policy.ts';
import {
  ALICE_LAPTOP,
  ALICE_PHONE,
  BOB_LAPTOP,
  DATABASE,
  DEVICES,
  EXIT,
  filterText,
  grant,
  NAMES,
  network,
  PEOPLE,
  ROUTER,
  SERVER,
} from './test-network.ts';

const TAILNET = '10.1.0.0/16 100.115.94.0-100.127.255.255 100.64.0.0-100.115.91.255';

test('a filter has only what reaches its device, the sources as addresses', () => {
  const compiled = network({ grants: [grant(['group:eng'], ['tag:server'], { ip: ['tcp:443', '22'] })] });
  assert.deepEqual(filterText(compiled, SERVER), [
    '100.64.0.1 100.64.0.2 -> 100.64.0.4:443/6',
    '100.64.0.1 100.64.0.2 -> 100.64.0.4:22',
  ]);
  assert.deepEqual(filterText(compiled, DATABASE), []);
  assert.deepEqual(compiled.filterOf(99), [], 'nothing comes in at an unknown device');
});

test('rules with equal sources and protocol are joined, in the order of grants, then acls', () => {
  const compiled = network({
    acls: [{ action: 'accept', src: ['bob@example.com'], dst: ['tag:server:80', 'tag:server:81'] }],
    grants: [grant(['bob@example.com'], ['tag:server'], { ip: ['22'] })],
  });
  assert.deepEqual(filterText(compiled, SERVER), ['100.64.0.3 -> 100.64.0.4:22 100.64.0.4:80 100.64.0.4:81']);
});

test('`*` as a source is the tailnet and each approved subnet, not the internet', () => {
  const compiled = network({ grants: [grant(['*'], ['tag:server'])] });
  assert.deepEqual(filterText(compiled, SERVER), [`${TAILNET} -> 100.64.0.4:*`]);
  const open = network({ grants: [grant(['autogroup:danger-all'], ['tag:server'])] });
  assert.deepEqual(filterText(open, SERVER), ['* -> 100.64.0.4:*']);
});

test('`*` is what the world says the tailnet is', () => {
  const compiled = network(
    { grants: [grant(['*'], ['tag:server'])] },
    { tailnetRanges: ['100.64.0.0/24', 'fd00:1::/48'] },
  );
  assert.deepEqual(compiled.filterOf(SERVER)[0]?.SrcIPs, ['10.1.0.0/16', '100.64.0.0/24', 'fd00:1::/48']);
});

test('peers see each other where a rule joins them, either way, and nobody else', () => {
  const compiled = network({ grants: [grant(['bob@example.com'], ['tag:server'])] });
  assert.deepEqual([...compiled.peersOf(BOB_LAPTOP)], [SERVER]);
  assert.deepEqual([...compiled.peersOf(SERVER)], [BOB_LAPTOP]);
  assert.deepEqual([...compiled.peersOf(ALICE_LAPTOP)], []);
});

test('autogroup:self reaches the untagged devices of the same person only', () => {
  const compiled = network({ grants: [grant(['autogroup:member'], ['autogroup:self'])] });
  assert.deepEqual(filterText(compiled, ALICE_PHONE), ['100.64.0.1 100.64.0.2 -> 100.64.0.2:*']);
  assert.deepEqual(filterText(compiled, SERVER), []);
  assert.deepEqual([...compiled.peersOf(ALICE_LAPTOP)], [ALICE_PHONE]);
  assert.deepEqual([...compiled.peersOf(BOB_LAPTOP)], []);
});

test('autogroup:self opens nothing for people whom the rule does not name', () => {
  const compiled = network({ grants: [grant(['alice@example.com'], ['autogroup:self'])] });
  assert.deepEqual(filterText(compiled, BOB_LAPTOP), []);
  assert.equal(filterText(compiled, ALICE_PHONE).length, 1);
});

test('groups: the file decides where it defines one, sign-in where it does not', () => {
  const compiled = network({
    groups: { ...NAMES.groups, 'group:none': [] },
    grants: [grant(['group:oncall'], ['tag:server']), grant(['group:none'], ['tag:db'])],
  });
  assert.deepEqual(filterText(compiled, SERVER), ['100.64.0.3 -> 100.64.0.4:*']);
  assert.deepEqual(filterText(compiled, DATABASE), []);
  const shadowed = network({
    groups: { 'group:eng': [], 'group:oncall': [] },
    grants: [grant(['group:oncall'], ['tag:server'])],
  });
  assert.deepEqual(filterText(shadowed, SERVER), [], 'what sign-in says does not widen a group of the file');
});

test('roles: the owner is an administrator, a member is not', () => {
  const compiled = network({
    grants: [grant(['autogroup:admin'], ['tag:server']), grant(['autogroup:owner'], ['tag:db'])],
  });
  assert.deepEqual(filterText(compiled, SERVER), ['100.64.0.1 100.64.0.2 -> 100.64.0.4:*']);
  assert.deepEqual(filterText(compiled, DATABASE), ['100.64.0.1 100.64.0.2 -> 100.64.0.5:*']);
});

test('a device with tags stands for nobody, even if a person made it', () => {
  const nodes = [
    ...DEVICES,
    { id: 8, userId: 1, tags: ['tag:server'], addresses: ['100.64.0.8'], routes: [] },
  ];
  const compiled = network(
    { grants: [grant(['alice@example.com', 'autogroup:member'], ['tag:db'])] },
    { nodes },
  );
  assert.equal(compiled.peersOf(DATABASE).has(8), false);
});

test('an untagged device whose person nobody knows is nobody, not a member', () => {
  const nodes = [...DEVICES, { id: 8, userId: 77, tags: [], addresses: ['100.64.0.8'], routes: [] }];
  const compiled = network(
    { grants: [grant(['autogroup:member'], ['tag:db', 'autogroup:self'])] },
    { nodes },
  );
  assert.deepEqual([...compiled.peersOf(8)], []);
  assert.doesNotMatch(filterText(compiled, DATABASE).join(), /100\.64\.0\.8/);
});

test('a subnet: the router filters for it, the sources are given its route, others are not', () => {
  const compiled = network({ grants: [grant(['bob@example.com'], ['office'], { ip: ['tcp:443'] })] });
  assert.deepEqual(filterText(compiled, ROUTER), ['100.64.0.3 -> 10.1.2.0/24:443/6']);
  assert.deepEqual(compiled.routesFor(BOB_LAPTOP, ROUTER), ['10.1.0.0/16']);
  assert.deepEqual(compiled.routesFor(ALICE_LAPTOP, ROUTER), []);
  assert.deepEqual([...compiled.peersOf(ALICE_LAPTOP)], []);
});

test('a subnet as a source: the destination is given the route, to answer', () => {
  const compiled = network({ grants: [grant(['printer'], ['tag:server'])] });
  assert.deepEqual(compiled.routesFor(SERVER, ROUTER), ['10.1.0.0/16']);
  assert.deepEqual(filterText(compiled, SERVER), ['10.1.2.9 -> 100.64.0.4:*']);
});

test('autogroup:internet: an exit node takes public addresses, never private or loopback ones', () => {
  const compiled = network({ grants: [grant(['bob@example.com'], ['autogroup:internet'])] });
  assert.deepEqual(compiled.routesFor(BOB_LAPTOP, EXIT), ['0.0.0.0/0', '::/0']);
  assert.deepEqual(compiled.routesFor(ALICE_LAPTOP, EXIT), []);
  const taken = (compiled.filterOf(EXIT)[0]?.DstPorts ?? []).flatMap(({ IP }) => parseIpRange(IP) ?? []);
  const takes = (text: string): boolean => taken.some((one) => overlapsAny([one], host(text)));
  for (const text of ['1.1.1.1', '8.8.8.8', '2001:db8::1']) assert.equal(takes(text), true, text);
  const never = [
    '0.0.0.1',
    '10.0.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.1.1',
    '172.16.0.1',
    '192.168.0.1',
  ];
  for (const text of [...never, '224.0.0.1', '255.255.255.255', '::1', 'fd7a:115c:a1e0::1', 'fe80::1']) {
    assert.equal(takes(text), false, text);
  }
  assert.deepEqual(filterText(compiled, ROUTER), [], 'a router that is no exit node takes none');
});

test('via: only routers with the tag carry the destination', () => {
  const nodes = [
    ...DEVICES,
    { id: 8, userId: null, tags: ['tag:exit'], addresses: ['100.64.0.8'], routes: ['10.1.0.0/16'] },
  ];
  const compiled = network(
    { grants: [grant(['bob@example.com'], ['office'], { ip: ['*'], via: ['tag:router'] })] },
    { nodes },
  );
  assert.deepEqual(compiled.routesFor(BOB_LAPTOP, ROUTER), ['10.1.0.0/16']);
  assert.deepEqual(compiled.routesFor(BOB_LAPTOP, 8), []);
  assert.deepEqual(filterText(compiled, 8), []);
  assert.deepEqual(filterText(compiled, ROUTER), ['100.64.0.3 -> 10.1.2.0/24:*']);
});

test('via at the internet: only exit nodes with the tag are given as one', () => {
  const nodes = [
    ...DEVICES,
    { id: 8, userId: null, tags: ['tag:unused'], addresses: ['100.64.0.8'], routes: ['0.0.0.0/0'] },
  ];
  const via = { ip: ['*'], via: ['tag:exit'] };
  const compiled = network(
    { grants: [grant(['bob@example.com'], ['autogroup:internet'], via), grant(['*'], ['tag:unused'])] },
    { nodes },
  );
  assert.deepEqual(compiled.routesFor(BOB_LAPTOP, EXIT), ['0.0.0.0/0', '::/0']);
  assert.deepEqual(compiled.routesFor(BOB_LAPTOP, 8), []);
});

test('routers of one subnet are given its route at each other, to stand by', () => {
  const nodes = [
    ...DEVICES,
    { id: 8, userId: null, tags: ['tag:router'], addresses: ['100.64.0.8'], routes: ['10.1.0.0/16'] },
  ];
  const compiled = network({ grants: [grant(['tag:router'], ['tag:router'])] }, { nodes });
  assert.deepEqual(compiled.routesFor(ROUTER, 8), ['10.1.0.0/16']);
});

test('a filter that would grow without bound ends: what is left out is not allowed', () => {
  const entries = Array.from(
    { length: 5000 },
    (_, index) => `10.1.${index % 250}.${Math.floor(index / 250) * 2}`,
  );
  const ports = Array.from({ length: 60 }, (_, index) => index * 2 + 1).join();
  const compiled = network({
    ipsets: { 'ipset:many': entries },
    grants: [
      grant(['bob@example.com'], ['ipset:many'], { ip: [`tcp:${ports}`] }),
      grant(['bob@example.com'], ['office']),
    ],
  });
  assert.deepEqual(compiled.filterOf(ROUTER), []);
});

test('sets of addresses: what is removed is not reached', () => {
  const compiled = network({
    ipsets: { 'ipset:lan': ['add 10.1.0.0/16', 'remove 10.1.2.0/24', 'printer'] },
    grants: [grant(['bob@example.com'], ['ipset:lan'])],
  });
  assert.deepEqual(filterText(compiled, ROUTER), [
    '100.64.0.3 -> 10.1.0.0/23:* 10.1.2.9:* 10.1.3.0-10.1.255.255:*',
  ]);
});

test('capabilities go to the destination; those with a companion tell the sources, too', () => {
  const app = { 'example.com/cap/x': [{ role: 'admin' }], 'tailscale.com/cap/drive': [{ shares: ['*'] }] };
  const compiled = network({ grants: [grant(['bob@example.com'], ['tag:server'], { app })] });
  assert.deepEqual(filterText(compiled, SERVER), [`100.64.0.3 -> 100.64.0.4/32 ${JSON.stringify(app)}`]);
  assert.deepEqual(filterText(compiled, BOB_LAPTOP), [
    '100.64.0.4 -> 100.64.0.3/32 {"tailscale.com/cap/drive-sharer":null}',
  ]);
});

test('a grant with via gives no capabilities: a router has no program that reads them', () => {
  const app = { 'example.com/cap/x': [{}] };
  const compiled = network({
    grants: [grant(['bob@example.com'], ['office'], { app, ip: ['22'], via: ['tag:router'] })],
  });
  assert.deepEqual(filterText(compiled, ROUTER), ['100.64.0.3 -> 10.1.2.0/24:22']);
});

test('node attributes and settings become capabilities, sorted, with their values', () => {
  const compiled = network({
    grants: [],
    randomizeClientPort: true,
    disableIPv4: true,
    OneCGNATRoute: 'mac-never',
    nodeAttrs: [
      { target: ['tag:server'], attr: ['nextdns:abc'] },
      { target: ['*'], app: { 'tailscale.com/app-connectors': [{ name: 'x' }] } },
      { target: ['autogroup:tagged'], attr: ['suggest-exit-node'] },
    ],
  });
  const common = { 'disable-ipv4': null, 'one-cgnat?v=false': null, 'randomize-client-port': null };
  const connectors = { 'tailscale.com/app-connectors': [{ name: 'x' }] };
  /* As it is sent: values of the file have no prototype. */
  const sent = (id: number): unknown => JSON.parse(JSON.stringify(compiled.capabilitiesOf(id)));
  assert.deepEqual(sent(BOB_LAPTOP), { ...common, ...connectors });
  assert.deepEqual(sent(SERVER), {
    ...common,
    ...connectors,
    'nextdns:abc': null,
    'suggest-exit-node': null,
  });
  assert.deepEqual(Object.keys(compiled.capabilitiesOf(SERVER)).slice(0, 2), ['disable-ipv4', 'nextdns:abc']);
  assert.deepEqual(compiled.peerCapabilitiesOf(EXIT), { 'suggest-exit-node': null });
  assert.deepEqual(compiled.peerCapabilitiesOf(SERVER), {}, 'only of an exit node peers are told');
  assert.deepEqual(compiled.capabilitiesOf(99), {});
});

test('tags are given by their owners, by the owners of a tag that owns them, and by administrators', () => {
  const compiled = network({ grants: [] });
  assert.equal(compiled.mayTag(1, 'tag:server'), true, 'alice is in group:eng');
  assert.equal(compiled.mayTag(2, 'tag:server'), false);
  assert.equal(compiled.mayTag(2, 'tag:db'), false);
  assert.equal(compiled.mayTag(3, 'tag:unused'), true, 'a network administrator may give any');
  assert.equal(compiled.mayTag(3, 'tag:undefined'), false, 'but none that nobody defined');
  assert.equal(compiled.mayTag(99, 'tag:server'), false);
  assert.equal(compiled.tagsMayTag(['tag:server'], 'tag:db'), true);
  assert.equal(compiled.tagsMayTag(['tag:db'], 'tag:server'), false);
  assert.equal(compiled.tagsMayTag(['tag:db'], 'tag:db'), true);
  assert.equal(compiled.tagsMayTag(['tag:x'], 'tag:x'), false);
  const cycle = network({
    tagOwners: { 'tag:server': ['tag:db'], 'tag:db': ['tag:server'], 'tag:router': [], 'tag:exit': [] },
  });
  assert.equal(cycle.mayTag(2, 'tag:server'), false, 'tags that own each other belong to nobody');
});

test('routes are approved within a written prefix, exit routes by exitNode alone or by name', () => {
  const compiled = network({
    grants: [],
    autoApprovers: {
      routes: { '10.0.0.0/8': ['tag:router'], '0.0.0.0/0': ['tag:server'] },
      exitNode: ['tag:exit'],
    },
  });
  assert.equal(compiled.approvesRoute(ROUTER, '10.1.0.0/16'), true);
  assert.equal(compiled.approvesRoute(ROUTER, '11.0.0.0/16'), false);
  assert.equal(compiled.approvesRoute(ROUTER, '0.0.0.0/0'), false);
  assert.equal(compiled.approvesRoute(BOB_LAPTOP, '10.1.0.0/16'), false);
  assert.equal(compiled.approvesRoute(EXIT, '::/0'), true);
  assert.equal(compiled.approvesRoute(EXIT, '10.1.0.0/16'), false);
  assert.equal(compiled.approvesRoute(SERVER, '0.0.0.0/0'), true);
  assert.equal(compiled.approvesRoute(ROUTER, 'not a prefix'), false);
});

test('a change touches those whom it concerns and nobody else', () => {
  const compiled = network({
    grants: [grant(['bob@example.com'], ['tag:server']), grant(['alice@example.com'], ['tag:db'])],
  });
  const before = compiled.filterOf(DATABASE);
  compiled.peersOf(ALICE_LAPTOP);
  const touched = compiled.setNode({ id: 9, userId: 2, tags: [], addresses: ['100.64.0.9'], routes: [] });
  assert.deepEqual(inOrder(touched), [SERVER, 9]);
  assert.deepEqual(filterText(compiled, SERVER), ['100.64.0.3 100.64.0.9 -> 100.64.0.4:*']);
  assert.equal(compiled.filterOf(DATABASE), before, 'what is not touched is not made again');
  assert.deepEqual(inOrder(compiled.removeNode(9)), [SERVER, 9]);
  assert.deepEqual(filterText(compiled, SERVER), ['100.64.0.3 -> 100.64.0.4:*']);
});

test('a person who leaves a group loses what it opened', () => {
  const compiled = network({ grants: [grant(['group:oncall'], ['tag:server'])] });
  const bob = PEOPLE[1];
  assert.ok(bob !== undefined);
  assert.equal(compiled.peersOf(BOB_LAPTOP).size, 1);
  assert.deepEqual(inOrder(compiled.setUser({ ...bob, groups: [] })), [BOB_LAPTOP, SERVER]);
  assert.deepEqual(filterText(compiled, SERVER), []);
  compiled.setUser(bob);
  assert.equal(compiled.peersOf(BOB_LAPTOP).size, 1);
  assert.deepEqual(inOrder(compiled.removeUser(2)), [BOB_LAPTOP, SERVER]);
  assert.equal(compiled.peersOf(BOB_LAPTOP).size, 0);
});

test('a route that an existing device is given or loses changes every rule that says `*`', () => {
  const compiled = network({ grants: [grant(['*'], ['tag:server'])] });
  const router = DEVICES.find(({ id }) => id === ROUTER);
  assert.ok(router !== undefined);
  assert.match(filterText(compiled, SERVER).join(), /10\.1\.0\.0\/16/);
  assert.equal(compiled.setNode({ ...router, routes: [] }).has(SERVER), true);
  assert.doesNotMatch(filterText(compiled, SERVER).join(), /10\.1\.0\.0\/16/);
});

test('an approved subnet changes every rule that says `*`', () => {
  const compiled = network({ grants: [grant(['*'], ['tag:server'])] });
  compiled.filterOf(SERVER);
  const touched = compiled.setNode({
    id: 9,
    userId: 2,
    tags: [],
    addresses: ['100.64.0.9'],
    routes: ['10.9.0.0/16'],
  });
  assert.equal(touched.has(SERVER), true);
  assert.match(filterText(compiled, SERVER).join(), /10\.9\.0\.0\/16/);
});

test('after any changes the answers are those of a policy compiled anew, and the untouched did not change', () => {
  const selectors = [
    '*',
    'bob@example.com',
    'group:eng',
    'group:oncall',
    'tag:server',
    'tag:router',
    'autogroup:member',
    'office',
    '100.64.0.3',
  ];
  const destinations = [...selectors, 'autogroup:internet', 'autogroup:tagged'];
  const grants = fc.array(
    fc.record({
      src: fc.uniqueArray(fc.constantFrom(...selectors), { maxLength: 2 }),
      dst: fc.uniqueArray(fc.constantFrom(...destinations), { maxLength: 2 }),
      ip: fc.constantFrom(['*'], ['tcp:443']),
    }),
    { maxLength: 4 },
  );
  const change = fc.record({
    id: fc.integer({ min: 1, max: 9 }),
    userId: fc.constantFrom(1, 2, null),
    tags: fc.constantFrom<readonly string[]>([], ['tag:server'], ['tag:router', 'tag:exit']),
    routes: fc.constantFrom<readonly string[]>([], ['10.1.2.0/24'], ['0.0.0.0/0']),
    gone: fc.boolean(),
    role: fc.constantFrom('owner' as const, 'member' as const),
    changesUser: fc.boolean(),
  });
  const ssh = [
    { action: 'check', src: ['group:oncall', 'tag:server'], dst: ['tag:router'], users: ['root'] },
  ];
  fc.assert(
    fc.property(grants, fc.array(change, { minLength: 1, maxLength: 6 }), (rules, changes) => {
      const { policy } = parseNetworkPolicy(JSON.stringify({ ...NAMES, grants: rules, ssh }), {
        groupsFromSignIn: true,
      });
      assert.ok(policy !== null);
      const nodes = new Map(DEVICES.map((node) => [node.id, node]));
      const users = new Map(PEOPLE.map((user) => [user.id, user]));
      const compiled = compileNetworkPolicy(policy, { users: PEOPLE, nodes: DEVICES });
      let before = answersOf(compiled, nodes.keys());
      for (const { id, gone, changesUser, role, ...facts } of changes) {
        const user = users.get(2);
        let touched: ReadonlySet<number>;
        if (changesUser && user !== undefined) {
          users.set(2, { ...user, role, groups: gone ? [] : ['oncall'] });
          touched = compiled.setUser({ ...user, role, groups: gone ? [] : ['oncall'] });
        } else if (gone) {
          nodes.delete(id);
          touched = compiled.removeNode(id);
        } else {
          const node = { id, ...facts, addresses: [`100.64.0.${id}`] };
          nodes.set(id, node);
          touched = compiled.setNode(node);
        }
        const after = answersOf(compiled, nodes.keys());
        const anew = compileNetworkPolicy(policy, { users: users.values(), nodes: nodes.values() });
        assert.deepEqual(after, answersOf(anew, nodes.keys()));
        for (const [node, answer] of after) {
          if (!touched.has(node))
            assert.deepEqual(answer, before.get(node), `device ${node} was not told of`);
        }
        before = after;
      }
    }),
    { numRuns: 150 },
  );
});

function host(text: string): IpRange {
  const range = parseIpRange(text);
  assert.ok(range !== null, text);
  return range;
}

function inOrder(ids: Iterable<number>): readonly number[] {
  return [...ids].sort((a, b) => a - b);
}

function answersOf(compiled: CompiledNetwork, ids: Iterable<number>): ReadonlyMap<number, unknown> {
  return new Map(
    [...ids].map((id) => {
      const peers = inOrder(compiled.peersOf(id));
      const routes = peers.map((peer) => compiled.routesFor(id, peer));
      return [id, { filter: compiled.filterOf(id), peers, routes, ssh: compiled.sshPolicyOf(id) }];
    }),
  );
}
