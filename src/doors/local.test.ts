import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DoorAnswer } from './door.ts';
import { createLocalUsers } from './local-users.ts';
import { type LocalDoorOptions, createLocalDoor } from './local.ts';
import type { SocketOwners } from './socket-owners.ts';
import type { Endpoints } from './socket-table.ts';
import { connection, fakeSocket } from './test-callers.ts';

const PASSWD =
  'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice A.,Room 1,:/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\nbroken\n';

function setUp(
  ownerOf: (ends: Endpoints) => number | null | Promise<number | null>,
  options: Partial<LocalDoorOptions> = {},
) {
  const asked: Endpoints[] = [];
  const owners: SocketOwners = {
    ownerOf: (ends) => {
      asked.push(ends);
      return Promise.resolve(ownerOf(ends));
    },
    close: () => Promise.resolve(),
  };
  const door = createLocalDoor({
    tailnet: 'default',
    owners,
    users: createLocalUsers({ readPasswd: () => Promise.resolve(PASSWD) }),
    socketOwnerUid: 1000,
    ownAddresses: () => ['100.64.0.5'],
    overflowUid: 65_534,
    ...options,
  });
  return { door, asked };
}

function principal(answer: DoorAnswer): string {
  return answer.kind === 'caller'
    ? answer.caller.principal
    : `${answer.kind}: ${answer.kind === 'refused' ? answer.code : answer.why}`;
}

describe('the door `local` (DESIGN section 5)', () => {
  test('names the OS user at the other end', async () => {
    const { door } = setUp(() => 1000);
    const answer = await door.identify(connection('loopback', fakeSocket('127.0.0.1')), []);
    assert.ok(answer.kind === 'caller');
    assert.deepEqual(answer.caller.user, { id: '1000', login: 'alice', displayName: 'Alice A.' });
    assert.deepEqual(
      [answer.caller.principal, answer.caller.door, answer.caller.device, answer.caller.token],
      ['local:1000', 'local', null, null],
    );
  });

  test('tells users apart, and calls one without an entry by number', async () => {
    const { door } = setUp(({ clientPort }) => clientPort);
    const answers = await Promise.all(
      [1000, 1001, 4242].map(async (port) =>
        door.identify(connection('loopback', fakeSocket('::1', port)), []),
      ),
    );
    assert.deepEqual(
      answers.map((answer) => answer.kind === 'caller' && answer.caller.user?.login),
      ['alice', 'bob', 'uid:4242'],
    );
  });

  test('asks once a connection, then answers at once with the same object; one user is one object', async () => {
    const { door, asked } = setUp(() => 1000);
    const [first, second] = [fakeSocket('127.0.0.1', 1), fakeSocket('127.0.0.1', 2)];
    const asking = [first, first, second].map(async (socket) =>
      door.identify(connection('loopback', socket), []),
    );
    const answers = await Promise.all(asking);
    assert.equal(asked.length, 2);
    assert.equal(door.identify(connection('loopback', first), []), answers[0]);
    assert.equal(answers[2], answers[0]);
  });

  test('an identity belongs to its connection: the same port later is asked again', async () => {
    let uid = 1000;
    const { door } = setUp(() => uid);
    assert.equal(
      principal(await door.identify(connection('loopback', fakeSocket('127.0.0.1', 5)), [])),
      'local:1000',
    );
    uid = 1001;
    assert.equal(
      principal(await door.identify(connection('loopback', fakeSocket('127.0.0.1', 5)), [])),
      'local:1001',
    );
  });

  test('refuses a client that closed before the look-up', async () => {
    const { door, asked } = setUp(() => null);
    assert.equal(
      principal(await door.identify(connection('loopback', fakeSocket('127.0.0.1')), [])),
      'refused: connection_owner_unknown',
    );
    assert.equal(
      principal(await door.identify(connection('loopback', fakeSocket('127.0.0.1', 1, true)), [])),
      'refused: connection_owner_unknown',
    );
    assert.equal(
      principal(await door.identify(connection('loopback', fakeSocket(undefined)), [])),
      'refused: connection_owner_unknown',
    );
    assert.equal(asked.length, 1);
  });

  test('refuses the uid that stands for users of other namespaces', async () => {
    const { door } = setUp(() => 65_534);
    assert.equal(
      principal(await door.identify(connection('loopback', fakeSocket('127.0.0.1')), [])),
      'refused: connection_owner_unknown',
    );
  });

  for (const header of [
    'X-Forwarded-For',
    'x-forwarded-host',
    'Forwarded',
    'Via',
    'X-Real-IP',
    'CF-Connecting-IP',
    'True-Client-IP',
    'Tailscale-User-Login',
    'Tailscale-Funnel-Request',
    'X-Envoy-External-Address',
    'Proxy-Connection',
    'CDN-Loop',
    'X-Client-IP',
    'Fly-Client-IP',
  ]) {
    test(`refuses a request with the proxy header ${header}, also on a connection that is known`, async () => {
      const { door } = setUp(() => 1000);
      const facts = connection('loopback', fakeSocket('127.0.0.1'));
      assert.equal(
        principal(await door.identify(facts, ['Host', 'x', header, '203.0.113.9'])),
        'refused: proxied_request',
      );
      assert.equal(principal(await door.identify(facts, ['Host', 'x'])), 'local:1000');
      assert.equal(principal(await door.identify(facts, [header, '1'])), 'refused: proxied_request');
    });
  }

  test('knows a host that calls its own tailnet address; other machines are not its business', async () => {
    const { door, asked } = setUp(() => 1000);
    assert.equal(
      principal(await door.identify(connection('tailnet', fakeSocket('100.64.0.5')), [])),
      'local:1000',
    );
    assert.match(
      principal(await door.identify(connection('tailnet', fakeSocket('100.64.0.6')), [])),
      /^none: .*another machine/,
    );
    assert.equal(asked.length, 1);
  });

  test('on the Unix socket is the owner of its folder', async () => {
    const { door, asked } = setUp(() => 1);
    assert.equal(
      principal(await door.identify(connection('socket', fakeSocket(undefined)), [])),
      'local:1000',
    );
    assert.equal(asked.length, 0);
  });

  test('where the system cannot tell, TCP is nobody', async () => {
    const { door } = setUp(() => 1, { owners: null });
    assert.match(
      principal(await door.identify(connection('loopback', fakeSocket('127.0.0.1')), [])),
      /^none: .*Unix socket/,
    );
    assert.equal(
      principal(await door.identify(connection('socket', fakeSocket(undefined)), [])),
      'local:1000',
    );
  });

  test('a look-up that fails refuses, and the next request asks again', async () => {
    let isBroken = true;
    const { door } = setUp(() => (isBroken ? Promise.reject(new Error('table')) : 1000));
    const facts = connection('loopback', fakeSocket('127.0.0.1'));
    assert.equal(principal(await door.identify(facts, [])), 'refused: identity_unavailable');
    isBroken = false;
    assert.equal(principal(await door.identify(facts, [])), 'local:1000');
  });
});
