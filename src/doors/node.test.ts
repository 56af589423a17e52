/** DESIGN section 5, door `node`: the WireGuard key says who it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Revocation } from './door.ts';
import { createNodeDoor, type NodeDoorPeer } from './node.ts';

const PEER: NodeDoorPeer = {
  key: 'ab'.repeat(32),
  stableId: 'dev_1',
  name: 'phone',
  addresses: ['10.1.2.3'],
  tags: [],
  user: null,
  capabilities: new Map(),
};

function setUp() {
  const owners = new Map<object, NodeDoorPeer | null>();
  const listeners: ((peer: NodeDoorPeer) => void)[] = [];
  const door = createNodeDoor({
    tailnet: 'default',
    peers: {
      peerOf: (socket) => owners.get(socket),
      onPeerEnded(listener) {
        listeners.push(listener);
        return () => undefined;
      },
    },
  });
  const socket = { destroyed: false, once: () => undefined };
  return { owners, listeners, door, socket, ask: () => door.identify({ listener: 'tailnet', socket }, []) };
}

test('a connection through the node is its device, one object for all of its connections', async () => {
  const { owners, socket, ask } = setUp();
  owners.set(socket, PEER);
  const answer = await ask();
  assert.ok(answer.kind === 'caller');
  assert.equal(answer.caller.principal, `postern:device:${PEER.key}`);
  assert.equal(answer.caller.door, 'node');
  assert.equal(answer.caller.user, null);
  assert.equal(answer.caller.device?.stableId, 'dev_1');
  assert.equal(await ask(), answer);
});

test('a connection whose device is gone is refused, and no other door is asked', async () => {
  const { owners, socket, ask } = setUp();
  owners.set(socket, null);
  assert.equal((await ask()).kind, 'refused');
});

test('another connection is none of its business', async () => {
  assert.equal((await setUp().ask()).kind, 'none');
});

test('a removed device is revoked, and nobody else is', async () => {
  const { owners, listeners, door, socket, ask } = setUp();
  const revoked: Revocation[] = [];
  door.onRevoked((revocation) => revoked.push(revocation));
  owners.set(socket, PEER);
  const answer = await ask();
  assert.ok(answer.kind === 'caller');
  for (const listener of listeners) listener(PEER);
  const { caller } = answer;
  assert.equal(revoked[0]?.matches(caller), true);
  assert.equal(revoked[0]?.matches({ ...caller, door: 'tailscaled' }), false);
  assert.ok(caller.device);
  assert.equal(revoked[0]?.matches({ ...caller, device: { ...caller.device, stableId: 'dev_2' } }), false);
});
