import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import * as fc from 'fast-check';
import { silentLogger } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { Secret } from '../base/secret.ts';
import type { Door, DoorAnswer, ListenerKind } from './door.ts';
import { type IdentifyResult, createIdentifier } from './identifier.ts';
import { createJwtVerifier } from './jwt.ts';
import { createLocalUsers } from './local-users.ts';
import { createLocalDoor } from './local.ts';
import { createServeDoor } from './serve.ts';
import { createTailscaledDoor } from './tailscaled/door.ts';
import { person, startFakeTailscaled } from './tailscaled/fake-local-api.ts';
import { createLocalApi } from './tailscaled/local-api.ts';
import { fakeSocket, manualClock, memoryTokenStore, request } from './test-callers.ts';
import { createTokens } from './tokens.ts';

const ISSUER = 'https://issuer.example';
const keys = await generateKeyPair('ES256', { extractable: true });
const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256' };

interface SetUpOptions {
  /** Owner of every loopback connection; null: nobody. */
  readonly uid?: number | null;
  readonly doors?: Partial<Record<ListenerKind, readonly Door[]>>;
}

async function setUp({ uid = 1000, doors }: SetUpOptions = {}) {
  const clock = manualClock();
  const local = createLocalDoor({
    tailnet: 'default',
    owners: { ownerOf: () => Promise.resolve(uid), close: () => Promise.resolve() },
    users: createLocalUsers({ readPasswd: () => Promise.resolve('alice:x:1000:1000::/:/bin/sh\n') }),
    socketOwnerUid: 1000,
    ownAddresses: () => ['100.64.0.1'],
    overflowUid: null,
  });
  const tokens = await createTokens({
    store: memoryTokenStore(),
    hashKey: new Uint8Array(32),
    tailnet: 'default',
    clock,
    random: systemRandom,
    logger: silentLogger,
  });
  const jwt = createJwtVerifier({
    issuers: [
      {
        issuer: ISSUER,
        audience: ['postern'],
        algorithms: ['ES256'],
        jwksUrl: `${ISSUER}/k`,
        tenantClaims: [{ name: 'tid', value: 'ours' }],
        loginClaim: null,
        groupsClaim: null,
      },
    ],
    fetchJson: () => Promise.resolve({ keys: [jwk] }),
    clock,
    tailnet: 'default',
  });
  const identifier = createIdentifier({
    doors: doors ?? {
      loopback: [local],
      socket: [local],
      serve: [createServeDoor({ tailnet: 'default', ownAddresses: () => [], clock })],
    },
    tokens,
    jwt,
    breakGlass: new Secret('correct horse battery staple'),
    tailnet: 'default',
  });
  const mint = async (owner = 'local:2000'): Promise<string> =>
    (
      await tokens.mint({
        owner,
        ownerLabel: 'bob',
        name: 't',
        scopes: ['use'],
        models: null,
        ttlMs: 60_000,
        createdBy: owner,
      })
    ).token.reveal();
  const sign = (claims: Record<string, unknown> = {}): Promise<string> =>
    new SignJWT({
      iss: ISSUER,
      aud: 'postern',
      sub: 'carol',
      tid: 'ours',
      exp: Math.floor(clock.now() / 1000) + 60,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(keys.privateKey);
  return { identifier, tokens, clock, local, mint, sign };
}

function told(result: IdentifyResult): string {
  if (result.ok)
    return `${result.caller.principal} by ${result.caller.door}${result.caller.via === null ? '' : ` via ${result.caller.via}`}`;
  return `${result.status} ${result.code} (${result.reason})${result.challenge ? ' challenge' : ''}`;
}

describe('the identity of a request (DESIGN section 5, INTERFACES “Identity on requests”)', () => {
  test('is the ambient one where no token is presented; synchronous and the same object on a known connection', async () => {
    const { identifier } = await setUp();
    const socket = fakeSocket('127.0.0.1');
    const first = await identifier.identify(request(socket), 'loopback');
    assert.equal(told(first), 'local:1000 by local');
    const second = identifier.identify(request(socket), 'loopback');
    assert.ok(!(second instanceof Promise) && second.ok && first.ok);
    assert.equal(second.caller, first.caller);
  });

  const places: readonly (readonly [string, (token: string) => { headers: string[]; url?: string }])[] = [
    [
      'X-Postern-Authorization: Bearer',
      (token) => ({ headers: ['X-Postern-Authorization', `Bearer ${token}`] }),
    ],
    ['X-Postern-Authorization, bare', (token) => ({ headers: ['x-postern-authorization', token] })],
    ['Authorization: Bearer', (token) => ({ headers: ['Authorization', `Bearer ${token}`] })],
    ['Authorization: bearer', (token) => ({ headers: ['authorization', `bearer  ${token} `] })],
    ['x-api-key', (token) => ({ headers: ['X-Api-Key', token] })],
    ['x-goog-api-key', (token) => ({ headers: ['x-goog-api-key', token] })],
    ['api-key', (token) => ({ headers: ['api-key', token] })],
    ['?key=', (token) => ({ headers: [], url: `/v1beta/models?alt=sse&key=${token}` })],
    [
      'two headers with the same token',
      (token) => ({ headers: ['Authorization', `Bearer ${token}`, 'x-api-key', token] }),
    ],
  ];
  for (const [place, present] of places) {
    test(`a Postern token in ${place} is the only identity; the ambient one is \`via\``, async () => {
      const { identifier, mint } = await setUp();
      const { headers, url } = present(await mint());
      assert.equal(
        told(await identifier.identify(request(fakeSocket('127.0.0.1'), headers, url), 'loopback')),
        'local:2000 by token via local',
      );
    });
    test(`an invalid Postern token in ${place} is the end, whoever the network says it is`, async () => {
      const { identifier } = await setUp();
      const { headers, url } = present(`pst_${'0'.repeat(52)}`);
      assert.equal(
        told(await identifier.identify(request(fakeSocket('127.0.0.1'), headers, url), 'loopback')),
        '401 token_invalid (token_unknown) challenge',
      );
    });
  }

  test('a valid token needs no ambient identity', async () => {
    const { identifier, mint } = await setUp({ uid: null });
    const token = await mint();
    const headers = ['authorization', `Bearer ${token}`];
    assert.equal(
      told(await identifier.identify(request(fakeSocket('127.0.0.1'), headers), 'loopback')),
      'local:2000 by token',
    );
    assert.equal(
      told(await identifier.identify(request(fakeSocket('203.0.113.5'), headers), 'public')),
      'local:2000 by token',
    );
  });

  test('an expired and a revoked token are the end', async () => {
    const { identifier, mint, clock, tokens } = await setUp();
    const ask = async (token: string): Promise<string> =>
      told(await identifier.identify(request(fakeSocket('127.0.0.1'), ['x-api-key', token]), 'loopback'));
    const revoked = await mint();
    await tokens.revoke(tokens.list()[0]?.id ?? '');
    assert.equal(await ask(revoked), '401 token_invalid (token_revoked) challenge');
    const expired = await mint();
    clock.advance(60_000);
    assert.equal(await ask(expired), '401 token_invalid (token_expired) challenge');
  });

  test('strangers learn nothing from the wording of a rejected token', async () => {
    const { identifier, mint, clock, sign } = await setUp();
    const expired = await mint();
    const wrongTenant = await sign({ tid: 'theirs' });
    clock.advance(60_000);
    const messages = new Set<string>();
    for (const text of [expired, `pst_${'0'.repeat(52)}`, 'pst_', wrongTenant]) {
      const result = await identifier.identify(
        request(fakeSocket('127.0.0.1'), ['authorization', `Bearer ${text}`]),
        'loopback',
      );
      assert.ok(!result.ok);
      messages.add(`${result.status} ${result.code} ${result.message}`);
    }
    assert.equal(messages.size, 1);
  });

  test('two different tokens are refused, even if both are valid', async () => {
    const { identifier, mint, sign } = await setUp();
    const [one, two, jwt] = [await mint(), await mint(), await sign()];
    const pairs = [
      ['authorization', `Bearer ${one}`, 'x-api-key', two],
      ['authorization', `Bearer ${one}`, 'Authorization', `Bearer ${two}`],
      ['x-postern-authorization', `Bearer ${one}`, 'authorization', `Bearer ${jwt}`],
      ['x-api-key', one, 'x-postern-authorization', jwt],
    ];
    for (const headers of pairs) {
      assert.equal(
        told(await identifier.identify(request(fakeSocket('127.0.0.1'), headers), 'loopback')),
        '401 token_invalid (token_ambiguous) challenge',
      );
    }
    const inQuery = request(
      fakeSocket('127.0.0.1'),
      ['authorization', `Bearer ${one}`],
      `/v1/models?key=${two}`,
    );
    assert.equal(
      told(await identifier.identify(inQuery, 'loopback')),
      '401 token_invalid (token_ambiguous) challenge',
    );
    const twice = request(fakeSocket('127.0.0.1'), [], `/v1/models?key=${one}&key=${one}`);
    assert.equal(
      told(await identifier.identify(twice, 'loopback')),
      '401 token_invalid (token_unknown) challenge',
    );
  });

  test('a token may be the user name of Basic; what is no token there is no credential', async () => {
    const { identifier, mint } = await setUp();
    const ask = async (user: string): Promise<string> => {
      const value = `Basic ${Buffer.from(`${user}:`).toString('base64')}`;
      const facts = request(fakeSocket('127.0.0.1'), ['authorization', value]);
      return told(await identifier.identify(facts, 'loopback'));
    };
    assert.match(await ask(await mint()), / by token/);
    assert.equal(await ask('pst_unknown'), '401 token_invalid (token_unknown) challenge');
    for (const user of ['', 'pst_', 'alice', 'psta_x'])
      assert.equal(await ask(user), 'local:1000 by local', user);
  });

  test('any other credential is ignored on an ambient door, and is a 401 without identity', async () => {
    const foreign = [
      'authorization',
      'Bearer sk-ant-whatever',
      'x-api-key',
      '-',
      'x-goog-api-key',
      'AIza',
      'cookie',
      'pst_=1',
    ];
    const known = await setUp();
    assert.equal(
      told(await known.identifier.identify(request(fakeSocket('127.0.0.1'), foreign), 'loopback')),
      'local:1000 by local',
    );
    const jwtOfOthers = new SignJWT({ iss: 'https://elsewhere.example', exp: 9_999_999_999 })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(keys.privateKey);
    assert.equal(
      told(
        await known.identifier.identify(
          request(fakeSocket('127.0.0.1'), ['authorization', `Bearer ${await jwtOfOthers}`]),
          'loopback',
        ),
      ),
      'local:1000 by local',
    );
    assert.equal(
      told(await known.identifier.identify(request(fakeSocket('203.0.113.5'), foreign), 'public')),
      '401 no_identity (not_recognised) challenge',
    );
  });

  test('Postern’s own header with something else in it is the end', async () => {
    const { identifier } = await setUp();
    for (const value of ['', 'Bearer', 'Bearer sk-ant-x', 'Basic cHN0Xw==', 'x y']) {
      assert.equal(
        told(
          await identifier.identify(
            request(fakeSocket('127.0.0.1'), ['x-postern-authorization', value]),
            'loopback',
          ),
        ),
        '401 token_invalid (token_unknown) challenge',
        value,
      );
    }
  });

  test('a JWT of a configured issuer is the only identity; of a wrong tenant it is the end', async () => {
    const { identifier, sign } = await setUp();
    const ask = async (token: string): Promise<string> =>
      told(
        await identifier.identify(
          request(fakeSocket('127.0.0.1'), ['authorization', `Bearer ${token}`]),
          'loopback',
        ),
      );
    assert.equal(await ask(await sign()), `jwt:${ISSUER}:carol by token via local`);
    assert.equal(await ask(await sign({ tid: 'theirs' })), '401 token_invalid (jwt_rejected) challenge');
    assert.equal(await ask(await sign({ aud: 'other' })), '401 token_invalid (jwt_rejected) challenge');
  });

  test('no identity is refused with the doors that were tried; a challenge only where a token could be presented', async () => {
    const { identifier } = await setUp({ uid: null });
    const closed = await identifier.identify(request(fakeSocket('127.0.0.1')), 'loopback');
    assert.equal(told(closed), '403 no_identity (connection_owner_unknown)');
    assert.deepEqual(!closed.ok && closed.triedDoors, ['local']);
    assert.equal(
      told(await identifier.identify(request(fakeSocket('203.0.113.5')), 'public')),
      '401 no_identity (not_recognised) challenge',
    );
    assert.equal(
      told(await identifier.identify(request(fakeSocket('127.0.0.1')), 'serve')),
      '403 no_identity (not_recognised)',
    );
  });

  test('behind serve, tokens are not looked at: the proxy names the caller', async () => {
    const { identifier, mint } = await setUp();
    const headers = ['tailscale-user-login', 'alice@example.com', 'authorization', `Bearer ${await mint()}`];
    assert.equal(
      told(await identifier.identify(request(fakeSocket('127.0.0.1'), headers), 'serve')),
      'tailscale:login:alice@example.com by serve',
    );
  });

  test('a proxied request is refused on a local connection, and accepted with a token', async () => {
    const { identifier, mint } = await setUp();
    const socket = fakeSocket('127.0.0.1');
    const proxied = ['x-forwarded-for', '203.0.113.9'];
    assert.equal(
      told(await identifier.identify(request(socket, proxied), 'loopback')),
      '403 no_identity (proxied_request)',
    );
    assert.equal(
      told(await identifier.identify(request(socket, [...proxied, 'x-api-key', await mint()]), 'loopback')),
      'local:2000 by token',
    );
  });

  test('a device that carries others needs a token', async () => {
    const bridge: DoorAnswer = {
      kind: 'caller',
      caller: {
        principal: 'tailscale:nodeid:n1',
        tailnet: 'default',
        door: 'tailscaled',
        via: null,
        device: { stableId: 'n1', name: 'bridge', addresses: [], tags: [], shared: true },
        user: null,
        groups: [],
        capabilities: new Map(),
        token: null,
      },
    };
    const { identifier, mint } = await setUp({
      doors: { tailnet: [{ name: 'tailscaled', identify: () => bridge }] },
    });
    assert.equal(
      told(await identifier.identify(request(fakeSocket('100.64.0.9')), 'tailnet')),
      '401 no_identity (device_shared) challenge',
    );
    assert.equal(
      told(
        await identifier.identify(request(fakeSocket('100.64.0.9'), ['x-api-key', await mint()]), 'tailnet'),
      ),
      'local:2000 by token via tailscaled',
    );
  });

  test('the break-glass token is the operator, never a caller of models', async () => {
    const { identifier } = await setUp();
    const result = await identifier.identify(
      request(fakeSocket('127.0.0.1'), ['authorization', 'Bearer correct horse battery staple']),
      'loopback',
    );
    assert.equal(told(result), 'operator:break-glass by token via local');
    assert.deepEqual(result.ok && result.caller.token?.scopes, ['read', 'admin', 'metrics']);
    assert.equal(
      told(
        await identifier.identify(
          request(fakeSocket('127.0.0.1'), ['authorization', 'Bearer correct horse']),
          'loopback',
        ),
      ),
      'local:1000 by local',
    );
  });

  test('never throws, and never finds somebody, whatever a stranger writes', async () => {
    const { identifier } = await setUp({ uid: null });
    const names = fc.constantFrom(
      'authorization',
      'x-api-key',
      'x-postern-authorization',
      'api-key',
      'x-goog-api-key',
      'tailscale-user-login',
      'x-forwarded-for',
    );
    const values = fc.oneof(
      fc.string(),
      fc.string().map((text) => `Bearer pst_${text}`),
      fc.string().map((text) => `Bearer ey${text}.ey${text}.x`),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(names, values)),
        fc.webUrl({ withQueryParameters: true }),
        async (headers, url) => {
          const target = url.slice(url.indexOf('/', 8));
          const result = await identifier.identify(
            request(fakeSocket('127.0.0.1'), headers.flat(), target),
            'loopback',
          );
          assert.equal(result.ok, false);
        },
      ),
    );
  });
});

describe('on real connections', () => {
  test('two people interleaved on one keep-alive connection behind serve stay two', async (t) => {
    const { identifier } = await setUp();
    const server = http.createServer((req, res) => {
      const finish = (result: IdentifyResult): void => void res.end(told(result));
      const result = identifier.identify(req, 'serve');
      if (result instanceof Promise) void result.then(finish);
      else finish(result);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const ports = new Set<number | undefined>();
    const ask = (login: string | null): Promise<string> =>
      new Promise((resolve, reject) => {
        const headers = login === null ? {} : { 'Tailscale-User-Login': login };
        const req = http.get({ host: '127.0.0.1', port: address.port, agent, headers }, (res) => {
          ports.add(req.socket instanceof net.Socket ? req.socket.localPort : undefined);
          res.on('data', (chunk) => resolve(String(chunk)));
        });
        req.on('error', reject);
      });
    for (let i = 0; i < 5; i += 1) {
      assert.equal(await ask('alice@example.com'), 'tailscale:login:alice@example.com by serve');
      assert.equal(await ask('bob@example.com'), 'tailscale:login:bob@example.com by serve');
      assert.match(await ask(null), /^403 no_identity/);
    }
    assert.equal(ports.size, 1, 'all on one connection');
  });

  test('own-address calls on a host with tailscaled are local; peers are peers; others are nobody', async (t) => {
    const daemon = await startFakeTailscaled();
    const { local } = await setUp();
    const tailscaled = createTailscaledDoor({
      api: createLocalApi({ socketPath: daemon.socketPath }),
      tailnet: 'default',
      clock: manualClock(),
      logger: silentLogger,
    });
    t.after(async () => {
      tailscaled.close();
      await daemon.close();
    });
    daemon.peers.set('100.64.0.9', person({ address: '100.64.0.9' }));
    /* Whois of an own address gives the owner of this very node: believing it would make every local user that person. */
    daemon.peers.set('100.64.0.1', person({ address: '100.64.0.1', login: 'owner@example.com', userId: 9 }));
    const { identifier } = await setUp({
      doors: { tailnet: [tailscaled, local], loopback: [tailscaled, local] },
    });
    const ask = async (address: string, listener: ListenerKind = 'tailnet'): Promise<string> =>
      told(await identifier.identify(request(fakeSocket(address)), listener));
    assert.equal(await ask('100.64.0.1'), 'local:1000 by local');
    assert.equal(await ask('100.64.0.9'), 'tailscale:userid:7001 by tailscaled');
    assert.equal(await ask('100.64.0.77'), '401 no_identity (not_recognised) challenge');
    assert.equal(await ask('127.0.0.1', 'loopback'), 'local:1000 by local');
  });
});
