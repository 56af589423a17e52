/** A small tailnet for tests: three people, a few devices, and a policy joined to them. */
import assert from 'node:assert/strict';
import { compileNetworkPolicy, type CompiledNetwork } from './compiled-network.ts';
import { parseNetworkPolicy } from './parse-policy.ts';
import type { NetworkRole } from './policy.ts';
import type { NetworkNodeFacts, NetworkUser, NetworkWorld } from './world.ts';

function person(id: number, name: string, role: NetworkRole, groups: readonly string[] = []): NetworkUser {
  return { id, login: `${name}@example.com`, role, groups };
}

function device(id: number, facts: Partial<NetworkNodeFacts>): NetworkNodeFacts {
  return {
    id,
    userId: null,
    tags: [],
    addresses: [`100.64.0.${id}`, `fd7a:115c:a1e0::${id}`],
    routes: [],
    ...facts,
  };
}

export const ALICE_LAPTOP = 1;
export const ALICE_PHONE = 2;
export const BOB_LAPTOP = 3;
export const SERVER = 4;
export const DATABASE = 5;
export const ROUTER = 6;
export const EXIT = 7;

export const PEOPLE: readonly NetworkUser[] = [
  person(1, 'alice', 'owner'),
  person(2, 'bob', 'member', ['oncall']),
  person(3, 'carol', 'network-admin'),
];

export const DEVICES: readonly NetworkNodeFacts[] = [
  device(ALICE_LAPTOP, { userId: 1 }),
  device(ALICE_PHONE, { userId: 1 }),
  device(BOB_LAPTOP, { userId: 2 }),
  device(SERVER, { tags: ['tag:server'] }),
  device(DATABASE, { tags: ['tag:db'] }),
  device(ROUTER, { tags: ['tag:router'], routes: ['10.1.0.0/16'] }),
  device(EXIT, { tags: ['tag:exit'], routes: ['0.0.0.0/0', '::/0'] }),
];

/** Defined in every policy of `network`. */
export const NAMES = {
  groups: { 'group:eng': ['alice@example.com', 'dave@example.com'] },
  hosts: { office: '10.1.2.0/24', printer: '10.1.2.9' },
  tagOwners: {
    'tag:server': ['group:eng'],
    'tag:db': ['tag:server'],
    'tag:router': [],
    'tag:exit': ['autogroup:admin'],
    'tag:unused': [],
  },
};

/** Compiles sections of a policy; a fault in them fails the test. */
export function network(sections: object, world: Partial<NetworkWorld> = {}): CompiledNetwork {
  const { policy, problems } = parseNetworkPolicy(JSON.stringify({ ...NAMES, ...sections }), {
    groupsFromSignIn: true,
  });
  assert.ok(policy !== null, problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return compileNetworkPolicy(policy, { users: PEOPLE, nodes: DEVICES, ...world });
}

export function grant(src: readonly string[], dst: readonly string[], more: object = { ip: ['*'] }): object {
  return { src, dst, ...more };
}

/** `100.64.0.1 100.64.0.2 -> 100.64.0.4:443/6`, a line for each rule. */
export function filterText(compiled: CompiledNetwork, nodeId: number): readonly string[] {
  return compiled.filterOf(nodeId).map(({ SrcIPs, DstPorts = [], IPProto = [], CapGrant = [] }) => {
    const v4 = (text: string): boolean => !text.includes(':');
    const ports = DstPorts.filter(({ IP }) => v4(IP)).map(({ IP, Ports }) => `${IP}:${portText(Ports)}`);
    const grants = CapGrant.map(({ Dsts, CapMap }) => `${Dsts.filter(v4).join()} ${JSON.stringify(CapMap)}`);
    const protocol = IPProto.length === 0 ? '' : `/${IPProto.join()}`;
    return `${SrcIPs.filter(v4).join(' ')} -> ${[...ports, ...grants].join(' ')}${protocol}`;
  });
}

function portText({ First, Last }: { readonly First: number; readonly Last: number }): string {
  if (First === 0 && Last === 65_535) return '*';
  return First === Last ? String(First) : `${First}-${Last}`;
}
