/** The certified `oidc-provider` as the other side, over real sockets and the guarded dialer. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secret.ts';
import { createDialer, createFetchSmall, createUpstreams } from '../../net/index.ts';
import { RelyingParty } from './index.ts';

const CALLBACK = 'https://gate.example.com/a/-/callback';

/** As much of the package as is used; it comes without types. */
interface CertifiedProvider {
  callback(): http.RequestListener;
  interactionFinished(req: object, res: object, result: object): Promise<void>;
  Grant: new (of: object) => { addOIDCScope(scope: string): void; save(): Promise<string> };
}
type ProviderClass = new (issuer: string, configuration: object) => CertifiedProvider;

interface GrantContext {
  readonly oidc: {
    readonly provider: CertifiedProvider;
    readonly session: { readonly accountId: string };
    readonly client: { readonly clientId: string };
  };
}

async function startProvider(t: TestContext): Promise<{ readonly issuer: string; readonly port: number }> {
  const server = http.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens at an address
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  const name: string = 'oidc-provider';
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the package's one class
  const { default: Provider } = (await import(name)) as { readonly default: ProviderClass };
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'postern', client_secret: 's3cret-s3cret-s3cret-s3cret', redirect_uris: [CALLBACK] },
      { client_id: 'public', redirect_uris: [CALLBACK], token_endpoint_auth_method: 'none' },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['k'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_context: object, id: string) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: 'Alice@example.com',
        email_verified: true,
        name: 'Alice',
        groups: ['Engineering'],
      }),
    }),
    loadExistingGrant: async ({ oidc }: GrantContext) => {
      const grant = new oidc.provider.Grant({
        accountId: oidc.session.accountId,
        clientId: oidc.client.clientId,
      });
      grant.addOIDCScope('openid email profile groups');
      await grant.save();
      return grant;
    },
  });
  const listener = provider.callback();
  server.on('request', (req, res) => {
    if (req.url?.startsWith('/interaction/') !== true) return listener(req, res);
    void provider.interactionFinished(req, res, { login: { accountId: 'alice' } });
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { issuer, port };
}

/** As a browser does, with its cookies; the address where it leaves the provider. */
async function follow(start: string): Promise<URL> {
  const jar = new Map<string, string>();
  let url = start;
  for (let hops = 0; hops < 10; hops += 1) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      jar.set(name, value);
    }
    const location = answer.headers.get('location');
    assert.ok(location !== null, `${url}: ${answer.status} ${await answer.text()}`);
    const next = new URL(location, url);
    if (next.href.startsWith(CALLBACK)) return next;
    url = next.href;
  }
  throw new Error('it leads round and round');
}

describe('sign-in by the certified oidc-provider', () => {
  for (const clientId of ['postern', 'public'])
    test(`the ${clientId} client learns whom it vouches for; an answer is good once`, async (t) => {
      const { issuer, port } = await startProvider(t);
      const upstreams = createUpstreams({
        dialer: createDialer({ allow: [], exact: [{ address: '127.0.0.1', port }], ownAddresses: () => [] }),
      });
      const party = new RelyingParty({
        issuer,
        clientId,
        clientSecret: clientId === 'public' ? null : new Secret('s3cret-s3cret-s3cret-s3cret'),
        scopes: ['email', 'profile', 'groups'],
        groupsClaim: 'groups',
        fetchSmall: createFetchSmall(upstreams),
        clock: systemClock,
      });
      const { url, checks } = await party.begin(CALLBACK);
      const callback = await follow(url);
      await assert.rejects(party.finish(callback, { ...checks, state: 'x' }), { code: 'sign_in_refused' });
      assert.deepEqual(await party.finish(callback, checks), {
        subject: 'alice',
        email: 'alice@example.com',
        name: 'Alice',
        groups: ['Engineering'],
      });
      await assert.rejects(party.finish(callback, checks), { code: 'sign_in_refused' });
      const other = await party.begin(CALLBACK);
      const stolen = await follow(other.url);
      const verifier = { ...other.checks, codeVerifier: checks.codeVerifier };
      await assert.rejects(party.finish(stolen, verifier), { code: 'sign_in_refused' });
    });
});
