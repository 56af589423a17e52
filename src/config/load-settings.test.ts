import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { SettingsError } from './errors.ts';
import { loadOperatorSettings, type LoadSettingsInput } from './load-settings.ts';
import type { OperatorSettings } from './operator-settings.ts';
import { SETTINGS } from './schema.ts';

interface Situation {
  readonly flags?: LoadSettingsInput['flags'];
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly platform?: string;
}
const STATE = '/home/me/.local/state/postern';
const FILE = `${STATE}/settings.hujson`;

function load({ flags = {}, env = {}, files = {}, platform = 'linux' }: Situation = {}): OperatorSettings {
  return loadOperatorSettings({
    flags,
    env,
    platform,
    homedir: '/home/me',
    cwd: '/work',
    readFile: (path) => files[path] ?? null,
  });
}
const refused = (situation: Situation, code: string, text: RegExp): void => {
  assert.throws(
    () => load(situation),
    (error) => error instanceof SettingsError && error.code === code && text.test(error.message),
    JSON.stringify(situation),
  );
};

test('settings: with nothing given the defaults hold (INTERFACES, "Settings")', () => {
  const settings = load();
  assert.deepEqual(settings.listen, { host: 'localhost', port: 8080, loopback: true });
  assert.equal(settings.stateDir, STATE);
  assert.equal(settings.settingsFile, FILE);
  assert.equal(settings.settingsFileFound, false);
  assert.deepEqual(
    [settings.config, settings.adminToken, settings.masterKey, settings.publicUrl, settings.tls],
    [null, null, null, null, null],
  );
  assert.deepEqual(
    [
      settings.allowUpstream,
      settings.ambientCredentials,
      settings.admins,
      settings.hosts,
      settings.dangerous,
    ],
    [[], [], [], [], []],
  );
  assert.equal(settings.limits.bodyMaxBytes, 64 * 1024 * 1024);
  assert.deepEqual(settings.doors, {
    tailscaled: {
      enabled: false,
      socket: '/var/run/tailscale/tailscaled.sock',
      httpPort: 80,
      httpsPort: 443,
    },
    node: { enabled: false, udpPort: 51_820, endpoint: null, loginServers: [], tailnetUdpPort: 0 },
    serve: { listen: null },
    jwt: [],
  });
  assert.deepEqual(settings.origins.get('listen'), { kind: 'default' });
});

test('settings: what weakens security stands in the file only, and is listed if it is on (STYLE, "Configuration")', () => {
  const url = { publicUrl: 'http://ai.example.net' };
  const inFile = (value: boolean) => ({ [FILE]: `{"dangerouslyAllowPlainHttp": ${value}}` });
  assert.deepEqual(load({ files: inFile(true), flags: url }).dangerous, ['dangerouslyAllowPlainHttp']);
  assert.deepEqual(load({ files: inFile(false) }).dangerous, []);
  refused(
    {
      flags: { ...url, dangerouslyAllowPlainHttp: true },
      env: { POSTERN_DANGEROUSLY_ALLOW_PLAIN_HTTP: '1' },
    },
    'settings_conflict',
    /dangerouslyAllowPlainHttp/,
  );
});

test('settings: the state folder follows the platform and XDG', () => {
  assert.equal(load({ platform: 'darwin' }).stateDir, '/home/me/Library/Application Support/postern');
  assert.equal(load({ env: { XDG_STATE_HOME: '/x' } }).stateDir, '/x/postern');
  assert.equal(load({ env: { XDG_STATE_HOME: 'relative' } }).stateDir, STATE);
  assert.equal(load({ flags: { stateDir: 'here' } }).stateDir, '/work/here');
  assert.equal(load({ env: { POSTERN_STATE_DIR: '~/s' } }).stateDir, '/home/me/s');
});

test('settings: a flag beats the environment, which beats the file, and each says where it came from', () => {
  const files = { [FILE]: '{ "listen": "localhost:1", /* c */ "limits": { "bodyMaxBytes": 2048, }, }' };
  assert.equal(load({ files }).listen.port, 1);
  assert.equal(load({ files }).limits.bodyMaxBytes, 2048);
  assert.deepEqual(load({ files }).origins.get('limits.bodyMaxBytes'), { kind: 'file', path: FILE });
  const env = { POSTERN_LISTEN: 'localhost:2' };
  assert.equal(load({ files, env }).listen.port, 2);
  assert.deepEqual(load({ files, env }).origins.get('listen'), {
    kind: 'environment',
    name: 'POSTERN_LISTEN',
  });
  const flags = { listen: '3' };
  assert.equal(load({ files, env, flags }).listen.port, 3);
  assert.deepEqual(load({ files, env, flags }).origins.get('listen'), { kind: 'flag', name: '--listen' });
});

test('settings: an empty variable is an absent one', () => {
  assert.equal(load({ env: { POSTERN_LISTEN: '', POSTERN_ADMIN_TOKEN: '' } }).listen.port, 8080);
});

test('settings: every one of the fixed names is read (INTERFACES, "Settings")', () => {
  const key = 'a'.repeat(64);
  const settings = load({
    env: {
      POSTERN_ALLOW_UPSTREAM: '10.0.0.0/8, fd00::/8,192.168.1.1',
      POSTERN_AMBIENT_CREDENTIALS: 'aws,gcp',
      POSTERN_ADMIN_TOKEN: 't'.repeat(32),
      POSTERN_MASTER_KEY: key,
      POSTERN_PUBLIC_URL: 'https://ai.example.net/',
      POSTERN_CONFIG: '/etc/g.hujson',
    },
    flags: { admin: ['local:1000', 'tailscale:userid:7'], lan: true },
  });
  assert.deepEqual(settings.allowUpstream, ['10.0.0.0/8', 'fd00::/8', '192.168.1.1/32']);
  assert.deepEqual(settings.ambientCredentials, ['aws', 'gcp']);
  assert.equal(settings.adminToken?.reveal(), 't'.repeat(32));
  assert.equal(settings.masterKey?.reveal(), Buffer.from(key, 'hex').toString('base64'));
  assert.equal(settings.publicUrl, 'https://ai.example.net');
  assert.deepEqual(settings.admins, ['local:1000', 'tailscale:userid:7']);
  assert.equal(settings.lan, true);
  assert.equal(settings.config, '/etc/g.hujson');
});

test('settings: secrets come from files too, and print as nothing', () => {
  const settings = load({
    env: { POSTERN_ADMIN_TOKEN_FILE: '/run/token' },
    files: { '/run/token': `${'s'.repeat(30)}\n` },
  });
  assert.equal(settings.adminToken?.reveal(), 's'.repeat(30));
  assert.ok(!inspect(settings, { depth: 9 }).includes('sss') && !JSON.stringify(settings).includes('sss'));
  refused(
    { env: { POSTERN_ADMIN_TOKEN_FILE: '/gone' } },
    'settings_bad_key_file',
    /POSTERN_ADMIN_TOKEN_FILE names \/gone, which does not exist/,
  );
  refused(
    { env: { POSTERN_ADMIN_TOKEN_FILE: '/a', POSTERN_ADMIN_TOKEN: 'b' } },
    'settings_conflict',
    /both set/,
  );
});

test('settings: an issuer of tokens must be bound to a tenant (DESIGN section 5)', () => {
  const issuer = {
    issuer: 'https://idp.test',
    audience: 'postern',
    algorithms: ['RS256'],
    tenantClaim: { name: 'tid', value: '1' },
  };
  const file = (jwt: unknown): Situation => ({
    files: { [FILE]: JSON.stringify({ doors: { jwt: [jwt] } }) },
  });
  assert.deepEqual(load(file(issuer)).doors.jwt, [
    {
      issuer: 'https://idp.test',
      audience: ['postern'],
      algorithms: ['RS256'],
      jwksUrl: null,
      tenantClaims: [{ name: 'tid', value: '1' }],
      loginClaim: null,
      groupsClaim: null,
    },
  ]);
  const bad: readonly (readonly [change: object, text: RegExp])[] = [
    [{ tenantClaim: undefined }, /every tenant/],
    [{ tenantClaim: { name: 'tid' } }, /\{name, value\}/],
    [{ tenantClaim: { name: 'tid', value: '1', or: 2 } }, /\{name, value\}/],
    [{ algorithms: ['HS256'] }, /algorithms/],
    [{ algorithms: ['none'] }, /algorithms/],
    [{ algorithms: [] }, /algorithms/],
    [{ audience: [] }, /audience/],
    [{ issuer: 'http://idp.test' }, /https/],
    [{ jwksUrl: 'http://idp.test' }, /https/],
    [{ jwks_url: 'x' }, /jwks_url/],
  ];
  for (const [change, text] of bad) refused(file({ ...issuer, ...change }), 'settings_bad_value', text);
});

test('settings: what is refused, and how it is said', () => {
  const file = (text: string): Situation => ({ files: { [FILE]: text } });
  refused(
    file('{"lsiten": "x"}'),
    'settings_unknown_key',
    /line 1, column 12: there is no setting lsiten; did you mean listen\?/,
  );
  refused(file('{"doors": {"tailscale": {}}}'), 'settings_unknown_key', /doors.tailscale/);
  refused(file('{"limits": {"bodyMaxByte": 1}}'), 'settings_unknown_key', /did you mean limits.bodyMaxBytes/);
  refused(file('{"adminToken": "x"}'), 'settings_unknown_key', /cannot stand in the settings file/);
  refused(file('{"masterKey": "x"}'), 'settings_unknown_key', /cannot stand in the settings file/);
  refused(file('{"listen": 8080}'), 'settings_bad_value', /listen \(file .*\) must be a string/);
  refused(file('{"lan": "yes"}'), 'settings_bad_value', /true or false/);
  refused(file('{"lan": true, "lan": false}'), 'settings_bad_file', /written twice/);
  refused(file('{'), 'settings_bad_file', /line 1, column 2/);
  refused(file('[]'), 'settings_bad_file', /must hold an object/);
  refused({ flags: { settings: '/gone' } }, 'settings_bad_file', /does not exist/);
  refused({ flags: { listen: 'example.net:80' } }, 'settings_bad_value', /IP address/);
  refused({ flags: { listen: '0.0.0.0:80' } }, 'settings_conflict', /--lan or --public-url/);
  refused(
    { flags: { publicUrl: 'http://ai.example.net' } },
    'settings_conflict',
    /dangerouslyAllowPlainHttp/,
  );
  refused({ flags: { listen: 'localhost:70000' } }, 'settings_bad_value', /address and port/);
  refused({ env: { POSTERN_ALLOW_UPSTREAM: '10.0.0.0/33' } }, 'settings_bad_value', /0 to 32 bits/);
  refused({ env: { POSTERN_ALLOW_UPSTREAM: 'internal.net' } }, 'settings_bad_value', /CIDR/);
  refused({ env: { POSTERN_AMBIENT_CREDENTIALS: 'azure' } }, 'settings_bad_value', /one of aws, gcp/);
  refused({ env: { POSTERN_ADMIN_TOKEN: 'short' } }, 'settings_bad_value', /at least 24/);
  refused({ env: { POSTERN_MASTER_KEY: 'abcd' } }, 'settings_bad_value', /32 bytes/);
  refused({ env: { POSTERN_PUBLIC_URL: 'https://x.test/path' } }, 'settings_bad_value', /without a path/);
  refused({ env: { POSTERN_BODY_MAX_BYTES: '1' } }, 'settings_bad_value', /from 1024/);
  refused({ env: { POSTERN_SERVE_LISTEN: '0.0.0.0:9' } }, 'settings_bad_value', /loopback/);
  refused({ flags: { admin: ['alice'] } }, 'settings_bad_value', /principal/);
  refused({ env: { POSTERN_TLS_CERT: '/c' } }, 'settings_conflict', /belong together/);
});

test('settings: a refusal never shows a secret', () => {
  for (const name of ['POSTERN_ADMIN_TOKEN', 'POSTERN_MASTER_KEY']) {
    assert.throws(
      () => load({ env: { [name]: 'hunter2-hunter2' } }),
      (error) =>
        error instanceof SettingsError && !`${error.message} ${error.detail ?? ''}`.includes('hunter2'),
    );
  }
});

test('settings: no file text gives anything but settings or SettingsError', () => {
  const names = fc.constantFrom(
    ...Object.keys(SETTINGS).flatMap((name) => name.split('.')),
    'other',
    '__proto__',
  );
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.dictionary(names, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.dictionary(names, value, { maxKeys: 4 }).map((object) => JSON.stringify(object)),
      ),
      (text) => {
        try {
          load({ files: { [FILE]: text } });
        } catch (error) {
          assert.ok(error instanceof SettingsError, String(error));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('settings: the examples of the reference page are accepted', () => {
  for (const [name, spec] of Object.entries(SETTINGS)) {
    if (spec.example.startsWith('(')) continue;
    if (spec.example.startsWith('[')) spec.kind.fromJson(JSON.parse(spec.example));
    else assert.doesNotThrow(() => spec.kind.fromText(spec.example), name);
  }
});

const mailFile = (mail: Record<string, unknown>): Situation => ({
  files: { [FILE]: JSON.stringify({ mail }), '/run/mail': 'secret-of-the-relay\n' },
});
const SENDER = { host: 'smtp.example.net', from: 'postern@example.net' };

test('settings: a mail server is off until named, encrypted unless it is a relay on this machine', () => {
  assert.equal(load().mail, null);
  assert.deepEqual(load(mailFile(SENDER)).mail, {
    ...SENDER,
    port: 465,
    tls: 'implicit',
    user: null,
    password: null,
  });
  const withLogin = load({
    ...mailFile({ ...SENDER, tls: 'starttls', user: 'postern' }),
    env: { POSTERN_MAIL_PASSWORD_FILE: '/run/mail' },
  }).mail;
  assert.deepEqual([withLogin?.port, withLogin?.password?.reveal()], [587, 'secret-of-the-relay']);
  assert.ok(!inspect(withLogin).includes('secret-of'));
  assert.equal(load(mailFile({ ...SENDER, host: 'localhost', tls: 'none' })).mail?.port, 25);
});

test('settings: a mail server without sender, with half a login, or without TLS elsewhere is refused', () => {
  refused(mailFile({ host: 'smtp.example.net' }), 'settings_conflict', /mail\.from/);
  refused(mailFile({ ...SENDER, user: 'postern' }), 'settings_conflict', /POSTERN_MAIL_PASSWORD_FILE/);
  refused(mailFile({ ...SENDER, tls: 'none' }), 'settings_conflict', /relay on this machine/);
  refused(mailFile({ ...SENDER, host: 'localhost.evil.example', tls: 'none' }), 'settings_conflict', /relay/);
  refused(
    mailFile({ ...SENDER, password: 'x' }),
    'settings_unknown_key',
    /cannot stand in the settings file/,
  );
  refused(mailFile({ ...SENDER, host: 'smtp.example.net:25' }), 'settings_bad_value', /mail\.port/);
  refused(mailFile({ ...SENDER, from: 'a@b\r\nBcc: c@d' }), 'settings_bad_value', /mail address/);
});
