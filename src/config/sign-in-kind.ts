/** One OpenID provider by which people sign in to Postern's own tailnets. Only in the settings file. */
import { type SettingKind, ValueFault } from './setting-kinds.ts';

export interface SignInProviderSettings {
  /** As the rules of tailnets name it. */
  readonly id: string;
  /** On the button. */
  readonly title: string;
  /** Exact value of `iss`. */
  readonly issuer: string;
  readonly clientId: string;
  /** Path of a file with the secret; null: a public client. */
  readonly clientSecretFile: string | null;
  /** Besides `openid`. */
  readonly scopes: readonly string[];
  /** Claim with group names; null for none. */
  readonly groupsClaim: string | null;
}

const KEYS = ['id', 'title', 'issuer', 'clientId', 'clientSecretFile', 'scopes', 'groupsClaim'];
const LOOPBACK = /^(?:localhost|127\.0\.0\.1|\[::1\])$/;

function fail(wanted: string): never {
  throw new ValueFault(wanted);
}

export const signInProviderKind: SettingKind<SignInProviderSettings> = {
  name: 'sign-in provider',
  fromText: () => fail('given in the settings file'),
  fromJson(value) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return fail('an object with id, issuer and clientId');
    const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
    if (unknown !== undefined)
      fail(`a provider without ${JSON.stringify(unknown)} (known: ${KEYS.join(', ')})`);
    const text = (key: string): string | null => {
      const found = value[key];
      if (found === undefined) return null;
      return typeof found === 'string' && /^[^\p{C}]{1,500}$/u.test(found)
        ? found
        : fail(`a provider whose ${JSON.stringify(key)} is a string`);
    };
    const id = text('id') ?? '';
    if (!/^[a-z0-9-]{1,40}$/.test(id))
      fail('a provider whose "id" has 1 to 40 lower-case letters, digits and hyphens');
    const issuer = text('issuer') ?? '';
    if (!isGoodIssuer(issuer)) fail('a provider whose "issuer" is an https address');
    const { scopes = ['profile', 'email'] } = value;
    if (
      !Array.isArray(scopes) ||
      scopes.length > 20 ||
      !scopes.every((scope) => typeof scope === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(scope))
    )
      return fail('a provider whose "scopes" are a list of at most 20 names without spaces');
    return {
      id,
      title: text('title') ?? id,
      issuer,
      clientId: text('clientId') ?? fail('a provider with "clientId"'),
      clientSecretFile: text('clientSecretFile'),
      scopes: scopes.map(String),
      groupsClaim: text('groupsClaim'),
    };
  },
};

/** Without TLS only at this machine, for trying it out. */
function isGoodIssuer(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
}
