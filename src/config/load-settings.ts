/**
 * Loads the operator's settings: a flag beats the environment, which beats the settings file, which
 * beats the default. Reads files through the given function only, and changes nothing.
 */
import { resolve } from 'node:path';
import { assert, describeError } from '../base/errors.ts';
import { nearestName } from '../base/nearest-name.ts';
import { Secret } from '../base/secret.ts';
import {
  type HujsonDocument,
  HujsonError,
  type JsonObject,
  type JsonPath,
  type JsonValue,
  parseHujson,
} from '../wire/hujson.ts';
import { SettingsError } from './errors.ts';
import { parseMasterKey } from './master-key.ts';
import type { OperatorSettings, SettingOrigin } from './operator-settings.ts';
import { DANGEROUS_PREFIX, SETTINGS, type SettingSpec } from './schema.ts';
import { ValueFault } from './setting-kinds.ts';

export interface LoadSettingsInput {
  /**
   * By the option's name in camel case without dashes (`--state-dir` is `stateDir`): a string, true or
   * false, a list of strings, or undefined. Other names are left to who parsed them.
   */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A file's text; null where there is none; throws where it cannot be read. */
  readonly readFile: (path: string) => string | null;
  /** As `process.platform`. */
  readonly platform: string;
  readonly homedir: string;
  /** Relative paths are taken from here; default the folder of the process. */
  readonly cwd?: string;
}

/** A short break-glass token could be guessed. */
const ADMIN_TOKEN_MIN_LENGTH = 24;
const SETTINGS_FILE_NAME = 'settings.hujson';
const SETTINGS_FILE_MAX_LENGTH = 1024 * 1024;

/** Throws `SettingsError`. */
export function loadOperatorSettings(input: LoadSettingsInput): OperatorSettings {
  const early = new SettingsReader(input, null);
  const stateDir = early.path(SETTINGS.stateDir) ?? defaultStateDir(input);
  const named = early.path(SETTINGS.settings);
  const settingsFile = named ?? `${stateDir}/${SETTINGS_FILE_NAME}`;
  const file = readSettingsFile(input, settingsFile, named !== null);
  const reader = new SettingsReader(input, file);
  for (const [name, origin] of early.origins) reader.origins.set(name, origin);
  const settings = assemble(reader, input, { stateDir, settingsFile, settingsFileFound: file !== null });
  checkTogether(settings);
  return settings;
}

interface SettingsFile {
  readonly path: string;
  readonly values: ReadonlyMap<string, JsonValue>;
}

interface Places {
  readonly stateDir: string;
  readonly settingsFile: string;
  readonly settingsFileFound: boolean;
}

function assemble(reader: SettingsReader, input: LoadSettingsInput, places: Places): OperatorSettings {
  const certFile = reader.path(SETTINGS['tls.certFile']);
  const keyFile = reader.path(SETTINGS['tls.keyFile']);
  if ((certFile === null) !== (keyFile === null)) {
    throw new SettingsError(
      'settings_conflict',
      'tls.certFile and tls.keyFile belong together: one of them is missing',
    );
  }
  const masterKey = reader.get(SETTINGS.masterKey);
  const settings: Omit<OperatorSettings, 'origins' | 'dangerous'> = {
    ...places,
    listen: reader.get(SETTINGS.listen) ?? { host: 'localhost', port: 8080, loopback: true },
    config: reader.path(SETTINGS.config),
    allowUpstream: reader.get(SETTINGS.allowUpstream) ?? [],
    ambientCredentials: reader.get(SETTINGS.ambientCredentials) ?? [],
    credentialOrigins: reader.get(SETTINGS.credentialOrigins) ?? [],
    adminToken: reader.get(SETTINGS.adminToken),
    masterKey: masterKey === null ? null : canonicalMasterKey(masterKey),
    admins: reader.get(SETTINGS.admins) ?? [],
    publicUrl: reader.get(SETTINGS.publicUrl),
    lan: reader.get(SETTINGS.lan) ?? false,
    hosts: reader.get(SETTINGS.hosts) ?? [],
    doors: {
      tailscaled: {
        enabled: reader.get(SETTINGS['doors.tailscaled.enabled']) ?? false,
        socket: reader.path(SETTINGS['doors.tailscaled.socket']) ?? defaultTailscaledSocket(input.platform),
        httpPort: reader.get(SETTINGS['doors.tailscaled.httpPort']) ?? 80,
        httpsPort: reader.get(SETTINGS['doors.tailscaled.httpsPort']) ?? 443,
      },
      node: {
        enabled: reader.get(SETTINGS['doors.node.enabled']) ?? false,
        udpPort: reader.get(SETTINGS['doors.node.udpPort']) ?? 51_820,
        endpoint: reader.get(SETTINGS['doors.node.endpoint']),
        loginServers: reader.get(SETTINGS['doors.node.loginServers']) ?? [],
        tailnetUdpPort: reader.get(SETTINGS['doors.node.tailnetUdpPort']) ?? 0,
      },
      serve: { listen: reader.get(SETTINGS['doors.serve.listen']) },
      jwt: reader.get(SETTINGS['doors.jwt']) ?? [],
    },
    signIn: { providers: readSignIn(reader, input) },
    caFiles: (reader.get(SETTINGS.caFiles) ?? []).map((path) => absolute(path, input)),
    dangerouslyAllowPlainHttp: reader.get(SETTINGS.dangerouslyAllowPlainHttp) ?? false,
    tls: certFile === null || keyFile === null ? null : { certFile, keyFile },
    limits: {
      bodyMaxBytes: reader.get(SETTINGS['limits.bodyMaxBytes']) ?? 64 * 1024 * 1024,
      headerMaxBytes: reader.get(SETTINGS['limits.headerMaxBytes']) ?? 32 * 1024,
      connectionsMax: reader.get(SETTINGS['limits.connectionsMax']) ?? 10_000,
    },
    timeouts: {
      headersMs: reader.get(SETTINGS['timeouts.headersMs']) ?? 15_000,
      requestMs: reader.get(SETTINGS['timeouts.requestMs']) ?? 300_000,
      connectMs: reader.get(SETTINGS['timeouts.connectMs']) ?? 10_000,
      firstByteMs: reader.get(SETTINGS['timeouts.firstByteMs']) ?? 600_000,
      idleMs: reader.get(SETTINGS['timeouts.idleMs']) ?? 300_000,
    },
    mail: readMail(reader),
    log: {
      level: reader.get(SETTINGS['log.level']) ?? 'info',
      format: reader.get(SETTINGS['log.format']) ?? 'text',
    },
  };
  return { ...settings, origins: reader.origins, dangerous: dangerousOf(reader.switchedOn) };
}

function dangerousOf(switchedOn: ReadonlySet<string>): readonly string[] {
  return [...switchedOn].filter((name) => name.split('.').at(-1)?.startsWith(DANGEROUS_PREFIX));
}

const MAIL_PORTS = { implicit: 465, starttls: 587, none: 25 } as const;
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/;

function readMail(reader: SettingsReader): OperatorSettings['mail'] {
  const host = reader.get(SETTINGS['mail.host']);
  const tls = reader.get(SETTINGS['mail.tls']) ?? 'implicit';
  const port = reader.get(SETTINGS['mail.port']) ?? MAIL_PORTS[tls];
  const from = reader.get(SETTINGS['mail.from']);
  const user = reader.get(SETTINGS['mail.user']);
  const password = reader.get(SETTINGS['mail.password']);
  if (host === null) return null;
  if (from === null)
    throw new SettingsError('settings_conflict', 'mail.host needs mail.from, the address of the sender');
  if ((user === null) !== (password === null)) {
    throw new SettingsError(
      'settings_conflict',
      'mail.user and mail.password belong together: set POSTERN_MAIL_PASSWORD_FILE, or remove mail.user',
    );
  }
  if (tls === 'none' && (!LOOPBACK_HOST.test(host) || user !== null)) {
    throw new SettingsError(
      'settings_conflict',
      `mail.tls is none, which is for a relay on this machine without a login; mail.host is ${host}: write implicit or starttls`,
    );
  }
  return { host, port, tls, from, user, password };
}

function readSignIn(
  reader: SettingsReader,
  input: LoadSettingsInput,
): OperatorSettings['signIn']['providers'] {
  const providers = reader.get(SETTINGS['signIn.providers']) ?? [];
  const ids = providers.map(({ id }) => id);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined)
    throw new SettingsError('settings_conflict', `signIn.providers names "${twice}" twice`);
  return providers.map(({ clientSecretFile, ...provider }) => ({
    ...provider,
    clientSecretFile: clientSecretFile === null ? null : absolute(clientSecretFile, input),
  }));
}

/** Rules that need more than one setting. */
function checkTogether(settings: OperatorSettings): void {
  if (settings.signIn.providers.length > 0 && settings.publicUrl === null) {
    throw new SettingsError(
      'settings_conflict',
      'signIn.providers needs publicUrl, the address that providers send people back to',
    );
  }
  const { listen, doors } = settings;
  if (!listen.loopback && !settings.lan && settings.publicUrl === null) {
    throw new SettingsError(
      'settings_conflict',
      `listen is ${listen.host}:${listen.port}, which other devices reach; that must be said: add --lan or --public-url, or listen on localhost`,
    );
  }
  if (settings.publicUrl?.startsWith('http:') === true && !settings.dangerouslyAllowPlainHttp) {
    throw new SettingsError(
      'settings_conflict',
      `publicUrl is ${settings.publicUrl}, without TLS: tokens and prompts could be read on the way; write https, or set dangerouslyAllowPlainHttp in the settings file`,
    );
  }
  if (settings.adminToken !== null && settings.adminToken.reveal().length < ADMIN_TOKEN_MIN_LENGTH) {
    throw new SettingsError(
      'settings_bad_value',
      `POSTERN_ADMIN_TOKEN must have at least ${ADMIN_TOKEN_MIN_LENGTH} characters; make one with: openssl rand -hex 32`,
    );
  }
  const serve = doors.serve.listen;
  if (serve !== null && 'host' in serve && !serve.loopback) {
    throw new SettingsError(
      'settings_bad_value',
      `doors.serve.listen must be a loopback address or a socket path, got ${serve.host}: who reaches it can claim to be anybody`,
    );
  }
}

/** Reads one setting after another and remembers where each came from. */
class SettingsReader {
  readonly origins = new Map<string, SettingOrigin>();
  /** Names of the settings that somebody set to true. */
  readonly switchedOn = new Set<string>();
  readonly #input: LoadSettingsInput;
  readonly #file: SettingsFile | null;

  constructor(input: LoadSettingsInput, file: SettingsFile | null) {
    this.#input = input;
    this.#file = file;
  }

  /** Null where nobody says. */
  get<Value>(spec: SettingSpec<Value>): Value | null {
    const name = nameOf(spec);
    const found = this.#fromFlag(spec) ?? this.#fromEnvironment(spec) ?? this.#fromFile(name, spec);
    this.origins.set(name, found?.origin ?? { kind: 'default' });
    if (found === null) return null;
    try {
      const value = found.read();
      if (value === true) this.switchedOn.add(name);
      return value;
    } catch (error) {
      if (!(error instanceof ValueFault)) throw error;
      throw new SettingsError(
        'settings_bad_value',
        `${name} (${describeOrigin(found.origin)}) must be ${error.message}; example: ${spec.example}`,
      );
    }
  }

  /** A path setting, made absolute. */
  path(spec: SettingSpec<string>): string | null {
    const path = this.get(spec);
    return path === null ? null : absolute(path, this.#input);
  }

  #fromFlag<Value>(spec: SettingSpec<Value>): FoundValue<Value> | null {
    if (spec.flag === null) return null;
    const value = this.#input.flags[camelCase(spec.flag)];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return null;
    const text = Array.isArray(value) ? value.join(',') : value;
    assert(
      typeof text === 'string' || typeof text === 'boolean',
      `the parser of ${spec.flag} gives text, a list or a switch`,
    );
    return { origin: { kind: 'flag', name: spec.flag }, read: () => spec.kind.fromText(String(text)) };
  }

  #fromEnvironment<Value>(spec: SettingSpec<Value>): FoundValue<Value> | null {
    if (spec.env === null) return null;
    const direct = nonEmpty(this.#input.env[spec.env]);
    const fileName = spec.envFile ? `${spec.env}_FILE` : null;
    const filePath = fileName === null ? null : nonEmpty(this.#input.env[fileName]);
    if (direct !== null && filePath !== null) {
      throw new SettingsError(
        'settings_conflict',
        `${spec.env} and ${spec.env}_FILE are both set: unset one of them`,
      );
    }
    if (direct !== null)
      return { origin: { kind: 'environment', name: spec.env }, read: () => spec.kind.fromText(direct) };
    if (filePath === null || fileName === null) return null;
    const text = this.#readKeyFile(fileName, absolute(filePath, this.#input));
    return { origin: { kind: 'environment', name: fileName }, read: () => spec.kind.fromText(text) };
  }

  #fromFile<Value>(name: string, spec: SettingSpec<Value>): FoundValue<Value> | null {
    const value = this.#file?.values.get(name);
    if (value === undefined || this.#file === null) return null;
    return { origin: { kind: 'file', path: this.#file.path }, read: () => spec.kind.fromJson(value) };
  }

  #readKeyFile(variable: string, path: string): string {
    const text = readOrThrow(this.#input, path, variable);
    if (text === null)
      throw new SettingsError('settings_bad_key_file', `${variable} names ${path}, which does not exist`);
    return text.trim();
  }
}

interface FoundValue<Value> {
  readonly origin: SettingOrigin;
  readonly read: () => Value;
}

const NAMES: readonly string[] = Object.keys(SETTINGS);

function nameOf(spec: SettingSpec): string {
  const name = Object.entries<SettingSpec>(SETTINGS).find(([, known]) => known === spec)?.[0];
  assert(name !== undefined, 'a setting is one of the schema');
  return name;
}

/** Whether a name is a setting that may stand in the settings file; null if it is none. */
function standsInFile(name: string): boolean | null {
  const spec = Object.entries<SettingSpec>(SETTINGS).find(([known]) => known === name)?.[1];
  return spec?.inFile ?? null;
}

function readOrThrow(input: LoadSettingsInput, path: string, what: string): string | null {
  try {
    return input.readFile(path);
  } catch (error) {
    throw new SettingsError(
      'settings_bad_key_file',
      `${what} names ${path}, which cannot be read: ${describeError(error)}`,
      { cause: error },
    );
  }
}

function readSettingsFile(input: LoadSettingsInput, path: string, mustExist: boolean): SettingsFile | null {
  const text = readOrThrow(input, path, 'the settings file');
  if (text === null) {
    if (mustExist) throw new SettingsError('settings_bad_file', `the settings file ${path} does not exist`);
    return null;
  }
  let parsed: HujsonDocument;
  try {
    parsed = parseHujson(text, { maxLength: SETTINGS_FILE_MAX_LENGTH });
  } catch (error) {
    assert(error instanceof HujsonError, 'parseHujson throws nothing else');
    throw new SettingsError('settings_bad_file', `${path}: ${error.message}`, { cause: error });
  }
  const [twice] = parsed.duplicates;
  if (twice !== undefined) {
    throw new SettingsError(
      'settings_bad_file',
      `${path}: line ${twice.line}, column ${twice.column}: ${twice.path.join('.')} is written twice`,
    );
  }
  return { path, values: flatten(parsed, path) };
}

/** Nested objects to dotted names; refuses what is no setting. */
function flatten(parsed: HujsonDocument, file: string): ReadonlyMap<string, JsonValue> {
  const values = new Map<string, JsonValue>();
  const visit = (object: JsonObject, path: JsonPath): void => {
    for (const key of Object.keys(object)) {
      const here = [...path, key];
      const dotted = here.join('.');
      const value = object[key] ?? null;
      const allowed = standsInFile(dotted);
      if (allowed === true) values.set(dotted, value);
      else if (isObject(value) && NAMES.some((known) => known.startsWith(`${dotted}.`))) visit(value, here);
      else refuse(parsed, file, here, allowed !== null);
    }
  };
  if (!isObject(parsed.value))
    throw new SettingsError(
      'settings_bad_file',
      `${file} must hold an object: { "listen": "localhost:8080" }`,
    );
  visit(parsed.value, []);
  return values;
}

function refuse(parsed: HujsonDocument, file: string, path: JsonPath, known: boolean): never {
  const at = parsed.positionOf(path);
  const dotted = path.join('.');
  const place = `${file}: line ${at?.line ?? 0}, column ${at?.column ?? 0}`;
  if (known) {
    throw new SettingsError(
      'settings_unknown_key',
      `${place}: ${dotted} cannot stand in the settings file; give it as a flag or in the environment`,
    );
  }
  const near = nearestName(dotted, NAMES);
  throw new SettingsError(
    'settings_unknown_key',
    `${place}: there is no setting ${dotted}${near === null ? '' : `; did you mean ${near}?`}`,
  );
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function canonicalMasterKey(secret: Secret): Secret {
  const bytes = parseMasterKey(secret.reveal());
  if (bytes === null) {
    throw new SettingsError(
      'settings_bad_value',
      'POSTERN_MASTER_KEY must be 32 bytes in base64 or hex; make one with: openssl rand -base64 32',
    );
  }
  return new Secret(Buffer.from(bytes).toString('base64'));
}

/** Where the value stands, in words. */
function describeOrigin(origin: SettingOrigin): string {
  if (origin.kind === 'flag') return `flag ${origin.name}`;
  if (origin.kind === 'environment') return `environment variable ${origin.name}`;
  return origin.kind === 'file' ? `file ${origin.path}` : 'default';
}

function camelCase(flag: string): string {
  return flag.replace(/^--/, '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}

function absolute(path: string, input: LoadSettingsInput): string {
  if (path === '~' || path.startsWith('~/')) return input.homedir + path.slice(1);
  return resolve(input.cwd ?? process.cwd(), path);
}

function defaultStateDir(input: LoadSettingsInput): string {
  if (input.platform === 'darwin') return `${input.homedir}/Library/Application Support/postern`;
  const xdg = nonEmpty(input.env['XDG_STATE_HOME']);
  // The XDG base directory specification: a relative path in the variable is ignored.
  return xdg?.startsWith('/') === true ? `${xdg}/postern` : `${input.homedir}/.local/state/postern`;
}

function defaultTailscaledSocket(platform: string): string {
  return platform === 'darwin' ? '/var/run/tailscaled.socket' : '/var/run/tailscale/tailscaled.sock';
}
