/** DESIGN section 5, door `node`, in a network that was joined: the control server says whose device it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../identity/caller.ts';
import type { DoorAnswer, Revocation } from './door.ts';
import { createJoinedNodeDoor, type JoinedPeer } from './node-joined.ts';

const PEER: JoinedPeer = {
  stableId: '7',
  name: 'alice-laptop',
  addresses: ['100.64.0.7'],
  tags: [],
  user: {
    id: '1',
    login: 'alice@example.com',
    displayName: 'Alice',
    groups: ['group:eng', 'ops@example.com'],
  },
  capabilities: new Map([['example.com/cap/ai', [{ role: 'user' }]]]),
  isSharedIn: false,
  carriesOthers: false,
};

function setUp() {
  const owners = new Map<object, JoinedPeer | null>();
  const ended: ((peer: JoinedPeer) => void)[] = [];
  const changed: ((peer: JoinedPeer) => void)[] = [];
  const network = { controlHost: 'headscale.example.net' };
  const door = createJoinedNodeDoor({
    tailnet: 'default',
    peers: {
      get controlHost() {
        return network.controlHost;
      },
      peerOf: (socket) => owners.get(socket),
      onPeerEnded: (listener) => (ended.push(listener), () => undefined),
      onPeerChanged: (listener) => (changed.push(listener), () => undefined),
    },
  });
  const ask = async (peer: JoinedPeer | null | undefined): Promise<DoorAnswer> => {
    const socket = { destroyed: false, once: () => undefined };
    if (peer !== undefined) owners.set(socket, peer);
    return door.identify({ listener: 'tailnet', socket }, []);
  };
  const callerOf = async (peer: JoinedPeer): Promise<Caller> => {
    const answer = await ask(peer);
    assert.ok(answer.kind === 'caller', JSON.stringify(answer));
    return answer.caller;
  };
  return { door, ended, changed, network, ask, callerOf };
}

test('a person’s device is that person, named with the control server that vouches', async () => {
  const { callerOf } = setUp();
  const caller = await callerOf(PEER);
  assert.deepEqual(caller, {
    principal: 'tailscale:headscale.example.net:userid:1',
    tailnet: 'default',
    door: 'node',
    via: null,
    device: {
      stableId: '7',
      name: 'alice-laptop',
      addresses: ['100.64.0.7'],
      tags: [],
      shared: false,
    },
    user: { id: '1', login: 'alice@example.com', displayName: 'Alice' },
    groups: ['group:eng', 'group:ops@example.com'],
    capabilities: PEER.capabilities,
    token: null,
  });
  assert.equal(await callerOf(PEER), caller, 'one object as long as nothing changes');
});

test('the same id of another control server is somebody else', async () => {
  const { callerOf, network } = setUp();
  const before = await callerOf(PEER);
  network.controlHost = 'other.example.net:8080';
  const after = await callerOf({ ...PEER });
  assert.notEqual(after.principal, before.principal);
  assert.equal(after.principal, 'tailscale:other.example.net:8080:userid:1');
});

test('a tagged device is itself; one that carries others is shared and no person', async () => {
  const { callerOf } = setUp();
  const tagged = await callerOf({ ...PEER, user: null, tags: ['tag:prod', 'tag:ci'] });
  assert.equal(tagged.principal, 'tailscale:headscale.example.net:nodeid:7');
  assert.deepEqual([tagged.user, tagged.device?.tags], [null, ['tag:ci', 'tag:prod']]);
  const withOwner = await callerOf({ ...PEER, tags: ['tag:ci'] });
  assert.deepEqual([withOwner.user, withOwner.groups], [null, []]);
  const router = await callerOf({ ...PEER, carriesOthers: true });
  assert.deepEqual([router.user, router.groups, router.device?.shared], [null, [], true]);
});

test('what the control server leaves out or malforms is no identity', async () => {
  const { ask } = setUp();
  const { user } = PEER;
  assert.ok(user);
  const refused: readonly (readonly [Partial<JoinedPeer>, string])[] = [
    [{ isSharedIn: true }, 'device_shared_in'],
    [{ user: null }, 'identity_unavailable'],
    [{ user: { ...user, id: '0' } }, 'identity_unavailable'],
    [{ user: { ...user, id: '1:nodeid:2' } }, 'identity_unavailable'],
    [{ user: { ...user, login: 'tagged-devices' } }, 'identity_unavailable'],
    [{ user: { ...user, login: 'alice\u202e@example.com' } }, 'identity_unavailable'],
    [{ stableId: '' }, 'identity_unavailable'],
    [{ tags: ['admin'] }, 'identity_unavailable'],
  ];
  for (const [change, code] of refused) {
    const answer = await ask({ ...PEER, ...change });
    assert.ok(answer.kind === 'refused', JSON.stringify(change));
    assert.equal(answer.code, code, JSON.stringify(change));
  }
});

test('a connection whose device is gone is refused; one from elsewhere is another door’s', async () => {
  const { ask } = setUp();
  assert.equal((await ask(null)).kind, 'refused');
  assert.equal((await ask(undefined)).kind, 'none');
});

test('a device that leaves is revoked, on this network and by this door only', async () => {
  const { door, ended, callerOf, network } = setUp();
  const revoked: Revocation[] = [];
  door.onRevoked((revocation) => revoked.push(revocation));
  const caller = await callerOf(PEER);
  for (const listener of ended) listener(PEER);
  const [revocation] = revoked;
  assert.ok(revocation && caller.device);
  assert.equal(revocation.matches(caller), true);
  assert.equal(revocation.matches({ ...caller, door: 'tailscaled' }), false);
  assert.equal(revocation.matches({ ...caller, device: { ...caller.device, stableId: '8' } }), false);
  network.controlHost = 'other.example.net';
  assert.equal(revocation.matches(await callerOf({ ...PEER })), false);
});

test('changed capabilities are told with the caller as it is now; a refused device is not told', () => {
  const { door, changed } = setUp();
  const told: Caller[] = [];
  door.onChanged((caller) => told.push(caller));
  for (const listener of changed) {
    listener({ ...PEER, capabilities: new Map() });
    listener({ ...PEER, isSharedIn: true });
  }
  assert.deepEqual(
    told.map(({ capabilities }) => capabilities.size),
    [0],
  );
});
