/** The smaller top-level keys: aliases, groups, connectors, database, exporters, tests. */
import { type Cursor, quoteShort } from './cursor.ts';
import {
  type AliasEntry,
  type ConnectorEntry,
  type PolicyTest,
  type PolicyTestSource,
  type PolicyToolTest,
  type Retention,
  ROLES,
} from './document.ts';
import { splitModelName } from './glob.ts';
import { sourceFault } from './match-source.ts';
import { readSecret } from './read-secret.ts';
import type { ParseOptions } from './parse-options.ts';
import { parseDuration } from './values.ts';
import { isWebAddress } from './web-address.ts';

/** `model_aliases`: exact names; of the targets the first usable one is taken, whatever the strategy says. */
export function readAliases(cursor: Cursor): ReadonlyMap<string, AliasEntry> {
  const aliases = new Map<string, AliasEntry>();
  for (const key of cursor.members() ?? []) {
    if (key === 'strategy') noteStrategy(cursor.at(key));
    else if (key !== 'models')
      cursor
        .at(key)
        .warn(
          'unknown_key',
          `${quoteShort(key)} is not a key of model_aliases; it has no effect`,
          'use "models" and "strategy"',
        );
  }
  const models = cursor.at('models');
  for (const name of models.members() ?? []) {
    const alias = models.at(name).isolate();
    for (const key of alias.members() ?? []) {
      if (key === 'strategy') noteStrategy(alias.at(key));
      else if (key !== 'dst')
        alias
          .at(key)
          .warn('unknown_key', `${quoteShort(key)} is not a key of an alias; it has no effect`, 'use "dst"');
    }
    const targets: string[] = [];
    for (const item of alias.at('dst').items()) {
      const target = item.string();
      if (target === null) continue;
      if (splitModelName(target) === null)
        item.fail(
          'bad_value',
          `${item.name} is ${quoteShort(target)}, which is not provider/model`,
          'write "provider/model"',
        );
      else targets.push(target);
    }
    if (targets.length === 0 && !alias.broken)
      alias.fail('missing_field', `alias ${quoteShort(name)} has no target`, 'add "dst": ["provider/model"]');
    if (alias.broken) alias.disable();
    else aliases.set(name, { name, targets });
  }
  return aliases;
}

function noteStrategy(cursor: Cursor): void {
  if (cursor.value === '' || !cursor.exists) return;
  cursor.note(
    'unknown_strategy',
    `${cursor.name} is kept; the first usable target is taken`,
    'nothing to do',
  );
}

/** `groups`: `group:x` to logins, principals and tags. A group within a group is refused. */
export function readGroups(cursor: Cursor): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, readonly string[]>();
  for (const name of cursor.members() ?? []) {
    const at = cursor.at(name).isolate();
    if (!/^group:[^\s,*]{1,100}$/.test(name))
      at.fail('bad_value', `${quoteShort(name)} is no group name`, 'write "group:name"');
    const members: string[] = [];
    for (const item of at.items()) {
      const member = item.string();
      if (member === null) continue;
      const bad = sourceFault(member);
      if (bad !== null) item.fail('bad_value', `${item.name} ${bad}`, 'write a login, a principal or a tag');
      else if (member === '*' || member === '(loopback)' || member.startsWith('group:')) {
        item.fail(
          'bad_value',
          `${item.name} is ${quoteShort(member)}; members are logins, principals and tags`,
          'name the members',
        );
      } else members.push(member);
    }
    if (at.broken) at.disable();
    else groups.set(name, members);
  }
  return groups;
}

const CONNECTOR_ID = /^[a-zA-Z][a-zA-Z0-9]*$/;
const CONNECTOR_RESERVED = ['aperture', 'tailscale', 'internal', 'postern'];
/** Keys of a connector that may stand beside what is known: Aperture's full list is not published. */
const CONNECTOR_KEYS = [
  'protocol',
  'url',
  'provider',
  'auth',
  'labels',
  'name',
  'description',
  'disabled',
  'icon',
  'category',
];
/** A key that is not known and whose name says that it restricts switches the connector off. */
const RESTRICTING =
  /allow|deny|block|restrict|only|except|exclude|require|scope|limit|policy|approv|filter|readonly|read_only/i;
const AUTH_KEYS = [
  'type',
  'secret',
  'name',
  'in',
  'username',
  'password',
  'client_id',
  'client_secret',
  'token_url',
  'authorization_url',
  'scopes',
  'audience',
];
/** Members of `auth` that hold a secret. */
export const CONNECTOR_SECRETS = ['secret', 'password', 'client_secret'];

/** `connectors.servers`. */
export function readConnectors(
  cursor: Cursor,
  source: ParseOptions['source'],
): ReadonlyMap<string, ConnectorEntry> {
  const connectors = new Map<string, ConnectorEntry>();
  const servers = cursor.at('servers');
  for (const id of servers.members() ?? []) {
    const at = servers.at(id).isolate();
    const entry = readConnector(id, at, source);
    if (entry === null) at.disable();
    else connectors.set(id, entry);
  }
  return connectors;
}

function readConnector(id: string, cursor: Cursor, source: ParseOptions['source']): ConnectorEntry | null {
  if (cursor.members() === null) return null;
  if (!CONNECTOR_ID.test(id))
    cursor.fail(
      'bad_value',
      `connector id ${quoteShort(id)} must be letters and digits, a letter first`,
      'rename it',
    );
  if (CONNECTOR_RESERVED.includes(id))
    cursor.fail('reserved_id', `connector id "${id}" is reserved`, 'rename it');
  for (const key of cursor.members() ?? []) {
    if (CONNECTOR_KEYS.includes(key)) continue;
    if (RESTRICTING.test(key))
      cursor
        .at(key)
        .fail(
          'unknown_key',
          `${quoteShort(key)} looks like a restriction and is not known, so the connector is switched off`,
          'remove the key',
        );
    else
      cursor
        .at(key)
        .note(
          'unknown_key',
          `${quoteShort(key)} is not known; it is kept and has no effect`,
          'nothing to do',
        );
  }
  cursor.at('auth').onlyKnown(AUTH_KEYS, "connector's auth");
  for (const key of CONNECTOR_SECRETS) readSecret(cursor.at('auth').at(key), source);
  const url = cursor.at('url').string() ?? '';
  if (!isWebAddress(url))
    cursor
      .at('url')
      .fail('bad_url', `${cursor.at('url').name} is no http or https address`, 'write "https://…"');
  const protocol = cursor.at('protocol').oneOf(['mcp', 'http'] as const);
  if (protocol === null)
    cursor
      .at('protocol')
      .fail('missing_field', `connector ${quoteShort(id)} has no protocol`, 'write "mcp" or "http"');
  const labels = cursor.at('labels').strings();
  return cursor.broken || protocol === null ? null : { id, protocol, url, labels, raw: cursor.value ?? null };
}

const HOUR_MS = 3_600_000;
/** Aperture's bounds. */
const RETENTION_MIN_MS = HOUR_MS;
const RETENTION_MAX_MS = 3650 * 24 * HOUR_MS;

/** `database.retention`, or our own top-level `retention` in the same shape. A fault is an error: it would keep what must go. */
export function readRetention(cursor: Cursor): Retention | null {
  if (!cursor.exists || cursor.members() === null) return null;
  const at = cursor.at('duration');
  const text = at.string();
  const parsed = text === null || text === '' ? null : parseDuration(text);
  if (parsed !== null && !parsed.ok) {
    at.error('bad_value', `${at.name} ${parsed.fault}`, 'write "30d", "720h", or "0" to keep no bodies');
  } else if (
    parsed !== null &&
    parsed.value !== 0 &&
    (parsed.value < RETENTION_MIN_MS || parsed.value > RETENTION_MAX_MS)
  ) {
    at.error('bad_value', `${at.name} must be "0", or from 1 h to 3650 days`, 'write "30d"');
  }
  return {
    durationMs: parsed?.ok === true ? parsed.value : null,
    purge: cursor.at('purge').strings(),
    requireExport: cursor.at('require_export').boolean() ?? false,
  };
}

/** Aperture's ceiling for `exporters.s3.limit`; above it Aperture clamps without a word. */
const S3_LIMIT_MAX = 10_000;

export function checkExporters(cursor: Cursor, source: ParseOptions['source']): void {
  const s3 = cursor.at('s3');
  if (!s3.exists || s3.members() === null) return;
  const prefix = s3.at('prefix').string();
  if (prefix?.endsWith('/') === true)
    s3.at('prefix').warn('bad_value', `${s3.at('prefix').name} ends with "/"`, 'leave the slash out');
  const limit = s3.at('limit').number();
  if (limit !== null && limit > S3_LIMIT_MAX)
    s3.at('limit').warn(
      'value_clamped',
      `${s3.at('limit').name} is above ${S3_LIMIT_MAX} and is read as ${S3_LIMIT_MAX}`,
      `write ${S3_LIMIT_MAX}`,
    );
  const endpoint = s3.at('endpoint').string() ?? '';
  for (const key of ['access_key_id', 'access_secret']) {
    const secret = readSecret(s3.at(key), source);
    if (secret?.kind === 'literal' && !isWebAddress(endpoint)) {
      s3.at('endpoint').warn(
        'bad_url',
        `${s3.at('endpoint').name} is no http or https address, so ${key} could not be bound to it`,
        'write "https://s3.amazonaws.com"',
      );
    }
  }
}

/** `tests`. A test that cannot be read is an error: it would seem to pass. */
export function readTests(cursor: Cursor): readonly PolicyTest[] {
  const tests: PolicyTest[] = [];
  for (const item of cursor.items()) {
    const at = item.isolate();
    at.onlyKnown(['src', 'groups', 'tags', 'accept', 'deny', 'tools', 'role', 'comment'], 'test');
    const src = readTestSource(at);
    const test: PolicyTest = {
      path: at.name,
      src: src ?? { login: null, principal: null, groups: [], tags: [], loopback: false },
      accept: at.at('accept').strings(),
      deny: at.at('deny').strings(),
      tools: at.at('tools').items().map(readToolTest),
      role: at.at('role').oneOf([...ROLES, 'none'] as const),
    };
    if (!at.broken && test.accept.length + test.deny.length + test.tools.length === 0 && test.role === null) {
      item.error('bad_test', `${at.name} tests nothing`, 'add "accept", "deny", "tools" or "role"');
    } else if (at.broken)
      item.error('bad_test', `${item.name} cannot be read, so it would test nothing`, 'mend the test');
    else tests.push(test);
  }
  return tests;
}

function readToolTest(at: Cursor): PolicyToolTest {
  at.onlyKnown(['model', 'name', 'arguments', 'agent', 'expect'], "test's tool call");
  const expect = at.at('expect').oneOf(['allow', 'rewrite', 'ask', 'deny'] as const);
  for (const key of ['model', 'name', 'expect']) {
    if (!at.at(key).exists) at.fail('missing_field', `${at.name} has no "${key}"`, `add "${key}"`);
  }
  return {
    model: at.at('model').string() ?? '',
    name: at.at('name').string() ?? '',
    arguments: at.at('arguments').value ?? {},
    agent: at.at('agent').string(),
    expect: expect ?? 'allow',
  };
}

function readTestSource(test: Cursor): PolicyTestSource | null {
  const at = test.at('src');
  const inObject = at.value !== undefined && typeof at.value !== 'string';
  const source = inObject ? at : test;
  if (inObject) at.onlyKnown(['login', 'principal', 'groups', 'tags', 'loopback'], "test's src");
  const text = inObject ? null : at.string();
  const tagged = text?.startsWith('tag:') === true;
  const isPrincipal = text !== null && /^(?:local|tailscale|postern|jwt):/.test(text);
  if (!at.exists || text === '' || text === '*' || text?.startsWith('group:') === true) {
    at.fail(
      'bad_value',
      `${test.name} needs a "src" that is one caller`,
      'write a login, "tag:x", "(loopback)", a principal, or {"login": …, "groups": […], "tags": […]}',
    );
    return null;
  }
  return {
    login: inObject ? at.at('login').string() : tagged || isPrincipal || text === '(loopback)' ? null : text,
    principal: inObject ? at.at('principal').string() : isPrincipal ? text : null,
    groups: source.at('groups').strings(),
    tags: tagged ? text.split(',') : source.at('tags').strings(),
    loopback: inObject ? (at.at('loopback').boolean() ?? false) : text === '(loopback)',
  };
}
