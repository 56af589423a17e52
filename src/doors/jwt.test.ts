import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from 'jose';
import * as fc from 'fast-check';
import { AppError } from '../base/errors.ts';
import type { Revocation } from './door.ts';
import {
  type JwtIssuer,
  type JwtVerdict,
  type JwtVerifier,
  type JwtVerifierOptions,
  createJwtVerifier,
} from './jwt.ts';
import { type ManualClock, manualClock } from './test-callers.ts';

const ISSUER = 'https://issuer.example';
const JWKS = 'https://issuer.example/keys';
const settings: JwtIssuer = {
  issuer: ISSUER,
  audience: ['postern'],
  algorithms: ['ES256'],
  jwksUrl: JWKS,
  tenantClaims: [{ name: 'tid', value: 'tenant-a' }],
  loginClaim: null,
  groupsClaim: 'groups',
};

const keys = await generateKeyPair('ES256', { extractable: true });
const otherKeys = await generateKeyPair('ES256', { extractable: true });
const publicJwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
const otherJwk = { ...(await exportJWK(otherKeys.publicKey)), kid: 'k2', alg: 'ES256', use: 'sig' };

interface World {
  readonly clock: ManualClock;
  readonly verifier: JwtVerifier;
  readonly fetched: string[];
  documents: Record<string, unknown>;
}

function setUp(options: Partial<JwtVerifierOptions> = {}): World {
  const clock = manualClock();
  const world: World = {
    clock,
    fetched: [],
    documents: { [JWKS]: { keys: [publicJwk] } },
    verifier: createJwtVerifier({
      issuers: [settings],
      clock,
      tailnet: 'default',
      fetchJson: (url) => {
        world.fetched.push(url);
        return url in world.documents
          ? Promise.resolve(world.documents[url])
          : Promise.reject(new Error('down'));
      },
      ...options,
    }),
  };
  return world;
}

const good = {
  iss: ISSUER,
  aud: 'postern',
  sub: 'user-1',
  tid: 'tenant-a',
  email: 'alice@example.com',
  email_verified: true,
  name: 'Alice',
};

function sign(
  clock: ManualClock,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key = keys.privateKey,
): Promise<string> {
  const now = Math.floor(clock.now() / 1000);
  return new SignJWT({ exp: now + 300, iat: now, ...good, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header })
    .sign(key);
}

async function whyNot(world: World, token: string): Promise<string> {
  const verdict = await world.verifier.verify(token, null);
  return verdict.ok ? 'accepted' : verdict.why;
}

describe('JWTs of configured issuers (DESIGN section 5, RFC 7519, RFC 8725)', () => {
  test('are identities', async () => {
    const world = setUp();
    const token = await sign(world.clock, { groups: ['eng', 'group:ops', 7, 'bad\nname'] });
    assert.equal(world.verifier.isOurs(token), true);
    const verdict = await world.verifier.verify(token, 'local');
    assert.ok(verdict.ok);
    const { caller } = verdict;
    assert.equal(caller.principal, 'jwt:https://issuer.example:user-1');
    assert.deepEqual(
      [caller.door, caller.via, caller.user, caller.groups],
      [
        'token',
        'local',
        { id: 'user-1', login: 'alice@example.com', displayName: 'Alice' },
        ['group:eng', 'group:ops'],
      ],
    );
    assert.deepEqual(caller.token?.scopes, ['use', 'read'], 'never admin');
  });

  test('seen before are answered at once, by the same object', async () => {
    const world = setUp();
    const token = await sign(world.clock);
    const first = await world.verifier.verify(token, null);
    const again = world.verifier.verify(token, null);
    assert.ok(!(again instanceof Promise));
    assert.equal(again, first);
  });

  test('are remembered by all of their bytes: a changed signature is not the same token', async () => {
    const world = setUp();
    const token = await sign(world.clock);
    assert.ok((await world.verifier.verify(token, null)).ok);
    const forged = token.slice(0, -8) + (token.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA');
    assert.match(await whyNot(world, forged), /rejected/);
  });

  const rejected: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    ['of a wrong tenant', { tid: 'tenant-b' }, /tid is not that of the configured tenant/],
    ['without the tenant claim', { tid: undefined }, /tid is not/],
    ['whose tenant is one of a list', { tid: ['tenant-a', 'tenant-b'] }, /tid is not/],
    ['for another audience', { aud: 'other' }, /aud/],
    ['without audience', { aud: undefined }, /aud/],
    ['without expiry', { exp: undefined }, /exp/],
    ['that have expired', { exp: Date.UTC(2026, 10, 23) / 1000 - 31 }, /rejected|exp/],
    ['that are not valid yet', { nbf: Date.UTC(2026, 10, 23) / 1000 + 31 }, /nbf/],
    ['without subject', { sub: undefined }, /sub/],
    ['with a subject that is no plain name', { sub: 'a\nb', email_verified: false }, /sub/],
    ['with an endless subject', { sub: 'x'.repeat(300) }, /sub/],
  ];
  for (const [what, claims, why] of rejected) {
    test(`${what} are refused`, async () => {
      const world = setUp();
      assert.match(await whyNot(world, await sign(world.clock, claims)), why);
    });
  }

  test('within the leeway of 30 s are accepted', async () => {
    const world = setUp();
    const now = world.clock.now() / 1000;
    assert.equal(await whyNot(world, await sign(world.clock, { exp: now - 29, nbf: now + 29 })), 'accepted');
  });

  test('remembered ones end at their expiry', async () => {
    const world = setUp();
    const token = await sign(world.clock);
    assert.equal(await whyNot(world, token), 'accepted');
    world.clock.advance(331_000);
    assert.match(await whyNot(world, token), /expired/);
  });

  test('by another algorithm, unsigned, or by another key are refused', async () => {
    const world = setUp();
    const secret = new TextEncoder().encode(JSON.stringify(publicJwk).padEnd(64));
    const hmac = await new SignJWT({ ...good, exp: 9_999_999_999 })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .sign(secret);
    assert.match(await whyNot(world, hmac), /rejected/);
    assert.match(await whyNot(world, new UnsecuredJWT({ ...good, exp: 9_999_999_999 }).encode()), /rejected/);
    assert.match(await whyNot(world, await sign(world.clock, {}, {}, otherKeys.privateKey)), /rejected/);
    assert.match(
      await whyNot(
        world,
        await sign(world.clock, {}, { jwk: otherJwk, jku: 'https://evil.example' }, otherKeys.privateKey),
      ),
      /rejected/,
    );
  });

  test('an address that the issuer did not verify is not the login', async () => {
    const world = setUp();
    for (const email_verified of [false, undefined, 'true', 1]) {
      const verdict = await world.verifier.verify(
        await sign(world.clock, { email: 'ceo@example.com', email_verified }),
        null,
      );
      assert.ok(verdict.ok);
      assert.equal(verdict.caller.user?.login, 'user-1');
    }
  });

  test('on the deny-list are refused, remembered or not, and their open exchanges are cut', async () => {
    const denied = new Set<string>();
    const listeners: (() => void)[] = [];
    const world = setUp({
      denials: {
        denies: ({ principal, jti, tokenId }) =>
          [principal, jti ?? '', tokenId].some((name) => denied.has(name)),
        onAdded(listener) {
          const denial = { kind: 'token', tokenId: '' } as const;
          listeners.push(() => listener({ id: 'deny_1', denied: denial, createdAt: 0, createdBy: 'me' }));
          return () => listeners.splice(0);
        },
      },
    });
    const cuts: Revocation[] = [];
    const stop = world.verifier.onRevoked((revocation) => cuts.push(revocation));
    const token = await sign(world.clock, { jti: 'one' });
    const other = await sign(world.clock, { jti: 'two' });
    const verdicts = [await world.verifier.verify(token, null), await world.verifier.verify(other, null)];
    const callers = verdicts.map((verdict) => (verdict.ok ? verdict.caller : assert.fail(verdict.why)));
    denied.add('one');
    listeners[0]?.();
    assert.equal(cuts[0]?.door, 'token');
    assert.deepEqual(
      callers.map((caller) => cuts[0]?.matches(caller)),
      [true, false],
    );
    assert.match(await whyNot(world, token), /deny-list/);
    assert.equal(await whyNot(world, other), 'accepted');
    assert.match(
      await whyNot(setUp({ denials: { denies: () => true, onAdded: () => () => {} } }), token),
      /deny-list/,
    );
    stop();
    assert.deepEqual(listeners, []);
  });

  test('remembering is bounded', async () => {
    const world = setUp({ cacheMax: 2 });
    const tokens = await Promise.all(['a', 'b', 'c'].map((sub) => sign(world.clock, { sub })));
    for (const token of tokens) assert.equal(await whyNot(world, token), 'accepted');
    const answers = tokens.map((token): JwtVerdict | Promise<JwtVerdict> =>
      world.verifier.verify(token, null),
    );
    assert.deepEqual(
      answers.map((answer) => answer instanceof Promise),
      [true, false, false],
    );
    await answers[0];
  });

  test('isOurs never throws and knows configured issuers only', async () => {
    const world = setUp();
    assert.equal(world.verifier.isOurs(await sign(world.clock, { iss: 'https://elsewhere.example' })), false);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.base64String()).map((parts) => parts.join('.')),
        ),
        (text) => !world.verifier.isOurs(text),
      ),
    );
    assert.equal(await whyNot(world, 'not a token'), 'the issuer is not configured');
  });

  test('two tenants of one issuer are two configurations', async () => {
    const second = { ...settings, tenantClaims: [{ name: 'tid', value: 'tenant-b' }] };
    const world = setUp({ issuers: [settings, second] });
    assert.equal(await whyNot(world, await sign(world.clock, { tid: 'tenant-b' })), 'accepted');
    assert.match(await whyNot(world, await sign(world.clock, { tid: 'tenant-c' })), /tid is not/);
  });
});

describe('settings that would accept too much are refused', () => {
  const faults: readonly Partial<JwtIssuer>[] = [
    { algorithms: [] },
    { algorithms: ['HS256'] },
    { algorithms: ['none'] },
    { algorithms: ['ES256', 'HS512'] },
    { audience: [] },
    { audience: [''] },
    { tenantClaims: [] },
    { tenantClaims: [{ name: 'tid', value: '' }] },
  ];
  for (const fault of faults) {
    test(JSON.stringify(fault), () => {
      assert.throws(
        () => setUp({ issuers: [{ ...settings, ...fault }] }),
        (error: unknown) => error instanceof AppError && error.code === 'jwt_settings_invalid',
      );
    });
  }
});

describe('keys of an issuer', () => {
  test('are fetched once, and again when a token names a new one, but not for every stranger', async () => {
    const world = setUp();
    await Promise.all([
      whyNot(world, await sign(world.clock, { sub: 'a' })),
      whyNot(world, await sign(world.clock, { sub: 'b' })),
    ]);
    assert.equal(world.fetched.length, 1);
    const rotated = (): Promise<string> => sign(world.clock, {}, { kid: 'k2' }, otherKeys.privateKey);
    world.documents = { [JWKS]: { keys: [publicJwk, otherJwk] } };
    assert.match(
      await whyNot(world, await rotated()),
      /JWKS_NO_MATCHING_KEY/,
      'within 30 s of the last fetch',
    );
    world.clock.advance(30_000);
    assert.equal(await whyNot(world, await rotated()), 'accepted');
    assert.equal(world.fetched.length, 2);
    for (let i = 0; i < 20; i += 1)
      await whyNot(world, await sign(world.clock, {}, { kid: `made-up-${i}` }, otherKeys.privateKey));
    assert.equal(world.fetched.length, 2);
  });

  test('serve for an hour while the issuer is down, then no longer', async () => {
    const world = setUp();
    assert.equal(await whyNot(world, await sign(world.clock)), 'accepted');
    world.documents = {};
    world.clock.advance(59 * 60_000);
    assert.equal(await whyNot(world, await sign(world.clock)), 'accepted');
    world.clock.advance(60_000);
    assert.match(await whyNot(world, await sign(world.clock)), /could not be fetched/);
  });

  test('found by discovery: the document must be that issuer’s and name https', async () => {
    const url = `${ISSUER}/.well-known/openid-configuration`;
    const found = async (document: unknown): Promise<string> => {
      const world = setUp({ issuers: [{ ...settings, jwksUrl: null }] });
      world.documents[url] = document;
      return whyNot(world, await sign(world.clock));
    };
    assert.equal(await found({ issuer: ISSUER, jwks_uri: JWKS }), 'accepted');
    for (const document of [
      { issuer: 'https://evil.example', jwks_uri: JWKS },
      { issuer: ISSUER, jwks_uri: 'http://issuer.example/keys' },
      { issuer: ISSUER },
      null,
      [],
    ]) {
      assert.match(await found(document), /could not be fetched/);
    }
  });

  test('a set with secret keys, too many keys or none gives none', async () => {
    const world = setUp();
    const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 'k1', alg: 'ES256' };
    for (const document of [
      { keys: [secret] },
      { keys: Array.from({ length: 101 }, () => publicJwk) },
      {},
      null,
      'x',
      { keys: [null, 1, 'x'] },
    ]) {
      const fresh = setUp();
      fresh.documents = { [JWKS]: document };
      assert.notEqual(await whyNot(fresh, await sign(world.clock)), 'accepted');
    }
  });
});
