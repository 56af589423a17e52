/**
 * The kinds of value that a setting can have, each read from text (flag, environment) and from JSON
 * (settings file). Readers throw `ValueFault`; the loader adds which setting, and where it came from.
 */
import { Secret } from '../base/secret.ts';
import type { JsonObject, JsonValue } from '../wire/hujson.ts';
import type { JwtDoorSettings, ListenAddress, TenantClaim } from './operator-settings.ts';

/** What is wrong with a value, in words that follow "must be". Never holds the value of a secret. */
export class ValueFault extends Error {}

export interface SettingKind<Value> {
  /** For the reference page. */
  readonly name: string;
  fromText(text: string): Value;
  fromJson(value: JsonValue): Value;
}

function fail(wanted: string): never {
  throw new ValueFault(wanted);
}

/** A kind whose JSON form is a string with the same grammar as its text. */
function textual<Value>(name: string, read: (text: string) => Value): SettingKind<Value> {
  return {
    name,
    fromText: read,
    fromJson: (value) => read(typeof value === 'string' ? value : fail(`a string: ${name}`)),
  };
}

export const booleanKind: SettingKind<boolean> = {
  name: 'true or false',
  fromText: (text) => {
    if (['1', 'true', 'yes', 'on'].includes(text.toLowerCase())) return true;
    return ['0', 'false', 'no', 'off'].includes(text.toLowerCase()) ? false : fail('true or false');
  },
  fromJson: (value) => (typeof value === 'boolean' ? value : fail('true or false')),
};

export function integerKind(min: number, max: number): SettingKind<number> {
  const name = `whole number from ${min} to ${max}`;
  const check = (value: number): number =>
    Number.isInteger(value) && value >= min && value <= max ? value : fail(`a ${name}`);
  return {
    name,
    fromText: (text) => (/^[0-9]{1,15}$/.test(text) ? check(Number(text)) : fail(`a ${name}`)),
    fromJson: (value) => (typeof value === 'number' ? check(value) : fail(`a ${name}`)),
  };
}

export const pathKind = textual('path', (text) =>
  text !== '' && !text.includes('\0') ? text : fail('a path'),
);

export const secretKind = textual('secret', (text) =>
  text.trim().length > 0 ? new Secret(text.trim()) : fail('a secret that is not empty'),
);

export function choiceKind<Value extends string>(values: readonly Value[]): SettingKind<Value> {
  const name = `one of ${values.join(', ')}`;
  return textual(name, (text) => values.find((value) => value === text) ?? fail(name));
}

/** Comma-separated in text, a list in JSON. At most 1,000 elements. */
export function listKind<Value>(element: SettingKind<Value>): SettingKind<readonly Value[]> {
  return {
    name: `list of ${element.name}`,
    fromText: (text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
        .map((part) => element.fromText(part)),
    fromJson: (value) =>
      (Array.isArray(value) && value.length <= 1000 ? value : fail('a list')).map((item) =>
        element.fromJson(item),
      ),
  };
}

/** An address without path, query or credentials; comes out as an origin. */
export function originKind(schemes: readonly string[]): SettingKind<string> {
  const name = `${schemes.join(' or ')} address without a path`;
  return textual(name, (text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const plain =
      url !== null &&
      schemes.includes(url.protocol.slice(0, -1)) &&
      url.username === '' &&
      url.password === '';
    return plain && url.pathname === '/' && url.search === '' && url.hash === ''
      ? url.origin
      : fail(`an ${name}`);
  });
}

/** `10.0.0.0/8`, `::1/128`, or a single address. */
export const cidrKind = textual('CIDR', (text) => {
  const [address = '', bits, ...rest] = text.split('/');
  const family = familyOf(address);
  const most = family === 4 ? 32 : 128;
  if (family === 0 || rest.length > 0) return fail('a CIDR such as "10.0.0.0/8" or "fd00::/8"');
  if (bits === undefined) return `${address}/${most}`;
  if (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > most) return fail(`a CIDR with 0 to ${most} bits`);
  return text;
});

export const hostKind = textual('host name', (text) =>
  /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?$/.test(text) ||
  /^\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?$/.test(text)
    ? text.toLowerCase()
    : fail('a host name such as "ai.example.net", with a port if it is not the listener\'s'),
);

export const mailHostKind = textual('host name', (text) =>
  /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(text) || /^[0-9A-Fa-f:.]{2,45}$/.test(text)
    ? text.toLowerCase()
    : fail('a host name or address such as "smtp.example.net"; the port is mail.port'),
);

export const mailAddressKind = textual('mail address', (text) =>
  /^[^\s@<>,;"\p{Cc}]{1,64}@[^\s@<>,;"\p{Cc}]{1,255}$/u.test(text)
    ? text
    : fail('one mail address such as "postern@example.net"'),
);

export const mailUserKind = textual('name', (text) =>
  /^[^\p{Cc}]{1,256}$/u.test(text) ? text : fail('a name of 1 to 256 printable characters'),
);

export const principalKind = textual('principal', (text) =>
  /^(?:local|tailscale|postern|jwt):\S{1,500}$/.test(text)
    ? text
    : fail('a principal such as "local:1000" or "tailscale:userid:123"'),
);

/** `localhost:8080`, `127.0.0.1:0`, `[::1]:8080`, or only a port. */
export const listenKind = textual('address and port', (text): ListenAddress => {
  const match = /^(?:(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):)?([0-9]{1,5})$/.exec(text);
  const host = match === null ? null : (match[1] ?? match[2] ?? 'localhost').toLowerCase();
  const port = Number(match?.[3]);
  if (host === null || port > 65_535)
    return fail('an address and port such as "localhost:8080", "[::1]:8080" or "8080"');
  const family = familyOf(host);
  if (host !== 'localhost' && (family === 0 || (match?.[1] !== undefined && family !== 6))) {
    return fail('"localhost" or an IP address, and a port; other names are resolved by nobody here');
  }
  return {
    host,
    port,
    loopback: host === 'localhost' || host === '::1' || (family === 4 && host.startsWith('127.')),
  };
});

/** As `listen`, or the path of a socket. */
export const listenOrSocketKind = textual(
  'address and port, or socket path',
  (text): ListenAddress | { readonly socketPath: string } =>
    text.startsWith('/') ? { socketPath: text } : listenKind.fromText(text),
);

/** Signature algorithms of a JWT that a third party can check without being able to sign. */
const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];
const JWT_KEYS = [
  'issuer',
  'audience',
  'algorithms',
  'jwksUrl',
  'tenantClaim',
  'tenantClaims',
  'loginClaim',
  'groupsClaim',
];

/** One issuer whose tokens are accepted. Only in the settings file. */
export const jwtIssuerKind: SettingKind<JwtDoorSettings> = {
  name: 'issuer',
  fromText: () => fail('given in the settings file'),
  fromJson: (value) => {
    const object = asObject(value, 'an object with issuer, audience, algorithms and tenantClaim');
    for (const key of Object.keys(object))
      if (!JWT_KEYS.includes(key))
        fail(`an issuer without ${JSON.stringify(key)} (known: ${JWT_KEYS.join(', ')})`);
    const issuer = stringOf(object, 'issuer') ?? fail('an issuer with "issuer"');
    if (!isHttps(issuer)) fail('an issuer whose "issuer" is an https address');
    const jwksUrl = stringOf(object, 'jwksUrl');
    if (jwksUrl !== null && !isHttps(jwksUrl)) fail('an issuer whose "jwksUrl" is an https address');
    const algorithms = stringsOf(object, 'algorithms');
    if (algorithms.length === 0 || algorithms.some((name) => !JWT_ALGORITHMS.includes(name))) {
      fail(`an issuer whose "algorithms" are some of ${JWT_ALGORITHMS.join(', ')}`);
    }
    const audience = stringsOf(object, 'audience');
    if (audience.length === 0) fail('an issuer with at least one "audience"');
    const tenantClaims = [
      ...tenantClaimsOf(object['tenantClaims']),
      ...tenantClaimsOf(object['tenantClaim']),
    ];
    if (tenantClaims.length === 0)
      fail(
        'an issuer with a "tenantClaim" {name, value}: without one every tenant of the issuer would be let in',
      );
    return {
      issuer,
      audience,
      algorithms,
      jwksUrl,
      tenantClaims,
      loginClaim: stringOf(object, 'loginClaim'),
      groupsClaim: stringOf(object, 'groupsClaim'),
    };
  },
};

function tenantClaimsOf(value: JsonValue | undefined): readonly TenantClaim[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map((item) => {
    const object = asObject(item, 'an issuer whose "tenantClaim" is {name, value}');
    const name = stringOf(object, 'name') ?? '';
    const wanted = stringOf(object, 'value') ?? '';
    if (name === '' || wanted === '' || Object.keys(object).length !== 2)
      fail('an issuer whose "tenantClaim" is {name, value}');
    return { name, value: wanted };
  });
}

function asObject(value: JsonValue, wanted: string): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : fail(wanted);
}

function stringOf(object: JsonObject, key: string): string | null {
  const value = object[key];
  if (value === undefined) return null;
  return typeof value === 'string' && value !== ''
    ? value
    : fail(`an issuer whose ${JSON.stringify(key)} is a string`);
}

/** A string counts as a list of one. */
function stringsOf(object: JsonObject, key: string): readonly string[] {
  const value = object[key];
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map((item) =>
    typeof item === 'string' && item !== ''
      ? item
      : fail(`an issuer whose ${JSON.stringify(key)} is a list of strings`),
  );
}

function isHttps(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:';
}

/** 4, 6, or 0 for no address. Full checks are the dialer's; this keeps mistakes out early. */
function familyOf(text: string): 0 | 4 | 6 {
  if (/^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.|$)){4}$/.test(text) && !text.endsWith('.'))
    return 4;
  return text.includes(':') && URL.canParse(`http://[${text}]/`) ? 6 : 0;
}
