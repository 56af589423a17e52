import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { Secret } from '../../base/secret.ts';
import type { FetchSmall } from '../../net/index.ts';
import { RelyingParty, type RelyingPartyOptions, type SignInChecks } from './index.ts';

const ISSUER = 'https://login.example.com';
const CALLBACK = 'https://gate.example.com/a/-/callback';

let ours: CryptoKeyPair;
let strangers: CryptoKeyPair;
let jwks: object;

before(async () => {
  ours = await generateKeyPair('RS256');
  strangers = await generateKeyPair('RS256');
  jwks = { keys: [{ ...(await exportJWK(ours.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] };
});

interface Bed {
  readonly party: RelyingParty;
  /** Bodies that the token endpoint was sent. */
  readonly exchanges: URLSearchParams[];
  /** The ID token of the next exchange. */
  token: (nonce: string) => Promise<string>;
}

function openBed(more: Partial<RelyingPartyOptions> = {}, metadata: object = {}): Bed {
  let nonce = '';
  const answer = (body: object) => ({
    status: 200,
    headers: new Map([['content-type', 'application/json']]),
    body: Buffer.from(JSON.stringify(body)),
  });
  const fetchSmall: FetchSmall = async (url, options) => {
    if (url.endsWith('/.well-known/openid-configuration'))
      return answer({
        issuer: ISSUER,
        authorization_endpoint: `${ISSUER}/authorize`,
        token_endpoint: `${ISSUER}/token`,
        jwks_uri: `${ISSUER}/keys`,
        ...metadata,
      });
    if (url === `${ISSUER}/keys`) return answer(jwks);
    bed.exchanges.push(new URLSearchParams(String(options?.body)));
    return answer({ access_token: 'a', token_type: 'bearer', id_token: await bed.token(nonce) });
  };
  const party = new RelyingParty({
    issuer: ISSUER,
    clientId: 'postern',
    clientSecret: new Secret('s3cret'),
    scopes: ['email'],
    groupsClaim: 'groups',
    fetchSmall,
    clock: { now: () => Date.now(), monotonicMs: () => 0 },
    ...more,
  });
  const bed: Bed = {
    party,
    exchanges: [],
    token: (given) => signed({ nonce: given }),
  };
  const begin = party.begin.bind(party);
  party.begin = async (uri) => {
    const begun = await begin(uri);
    nonce = begun.checks.nonce;
    return begun;
  };
  return bed;
}

const CLAIMS: JWTPayload = {
  sub: '123',
  email: 'Alice@Example.com',
  email_verified: true,
  name: 'Alice',
  groups: ['Engineering', 7, ''],
};

function signed(more: JWTPayload, key = ours.privateKey): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ ...CLAIMS, iss: ISSUER, aud: 'postern', iat: now, exp: now + 60, ...more })
    .setProtectedHeader({ alg: 'RS256', kid: 'one' })
    .sign(key);
}

async function finish(
  bed: Bed,
  answer: Record<string, string> = {},
  checks: Partial<SignInChecks> = {},
): Promise<unknown> {
  const begun = await bed.party.begin(CALLBACK);
  const callback = new URL(CALLBACK);
  callback.search = new URLSearchParams({ code: 'c', state: begun.checks.state, ...answer }).toString();
  return bed.party.finish(callback, { ...begun.checks, ...checks });
}

const REFUSED = { code: 'sign_in_refused' };

describe('sign-in by an OpenID provider (OpenID Connect Core section 3.1)', () => {
  test('asks with PKCE, state and nonce, and tells whom the provider vouches for', async () => {
    const bed = openBed();
    const { url, checks } = await bed.party.begin(CALLBACK);
    const asked = new URL(url).searchParams;
    assert.equal(asked.get('code_challenge_method'), 'S256');
    assert.deepEqual([asked.get('state'), asked.get('nonce')], [checks.state, checks.nonce]);
    assert.equal(asked.get('scope'), 'openid email');
    assert.deepEqual(await finish(bed), {
      subject: '123',
      email: 'alice@example.com',
      name: 'Alice',
      groups: ['Engineering'],
    });
    assert.match(bed.exchanges[0]?.get('code_verifier') ?? '', /^[\w-]{43,}$/);
  });

  test('an address that the provider did not verify is none', async () => {
    const bed = openBed({ groupsClaim: null });
    for (const verified of [false, undefined, 'true']) {
      bed.token = (nonce) => signed({ nonce, email_verified: verified });
      assert.deepEqual(await finish(bed), { subject: '123', email: null, name: 'Alice', groups: [] });
    }
  });

  const WRONG: Record<string, (nonce: string) => Promise<string>> = {
    'another nonce': () => signed({ nonce: 'other' }),
    'no nonce': () => signed({}),
    'another issuer': (nonce) => signed({ nonce, iss: 'https://evil.example' }),
    'another audience': (nonce) => signed({ nonce, aud: 'other' }),
    'an expired token': (nonce) => signed({ nonce, iat: 1000, exp: 2000 }),
    'a signature by another key': (nonce) => signed({ nonce }, strangers.privateKey),
    'no signature': async (nonce) =>
      Promise.resolve(
        new UnsecuredJWT({ ...CLAIMS, nonce, iss: ISSUER, aud: 'postern', exp: 1e10, iat: 1 }).encode(),
      ),
    'no subject': (nonce) => signed({ nonce, sub: '' }),
    'no token at all': () => Promise.resolve('x'),
  };
  for (const [what, token] of Object.entries(WRONG))
    test(`${what} is refused`, async () => {
      const bed = openBed();
      bed.token = token;
      await assert.rejects(finish(bed), REFUSED);
    });

  test('another state, and an answer of another issuer (RFC 9207), are refused before any exchange', async () => {
    const bed = openBed();
    await assert.rejects(finish(bed, { state: 'other' }), REFUSED);
    await assert.rejects(finish(bed, { iss: 'https://evil.example' }), REFUSED);
    await assert.rejects(finish(bed, { error: 'access_denied' }), REFUSED);
    assert.equal(bed.exchanges.length, 0);
  });

  test('a provider that says another issuer of itself, or does not answer, is unavailable', async () => {
    const unavailable = { code: 'sign_in_provider_unavailable' };
    await assert.rejects(openBed({}, { issuer: 'https://evil.example' }).party.begin(CALLBACK), unavailable);
    const silent = openBed({ fetchSmall: () => Promise.reject(new Error('down')) });
    await assert.rejects(silent.party.begin(CALLBACK), unavailable);
    const plain = openBed({}, { authorization_endpoint: 'http://login.example.com/authorize' });
    await assert.rejects(plain.party.begin(CALLBACK), unavailable);
  });
});
