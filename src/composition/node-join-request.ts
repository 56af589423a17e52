/** What `postern up` may ask for: which network, under which name; and what is refused. */
import { AppError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { JoinRecord } from './node-record.ts';

/** Codes of refusals; the API maps them. */
export type JoinErrorCode =
  /** No control server is named, or a name or tag cannot be one. */
  | 'network_invalid'
  /** The operator has not allowed this control server. */
  | 'network_server_refused'
  /** The gateway is in another network. */
  | 'network_joined'
  /** There is no network to leave. */
  | 'network_off'
  /** What was joined cannot be kept: a full disk, a missing right. */
  | 'network_state';

/** What `postern up` asks for; null: as before, or the default. */
export interface JoinRequest {
  readonly loginServer: string | null;
  readonly authKey: Secret | null;
  readonly hostname: string | null;
  readonly tags: readonly string[] | null;
  /** Whoever asks may name any control server: the operator, in person. */
  readonly isOperator: boolean;
}

const DEFAULT_HOSTNAME = 'ai';
/** A DNS label. */
const HOSTNAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const TAG = /^tag:[A-Za-z][A-Za-z0-9-]{0,62}$/;
const TAGS_MAX = 32;
/** What follows `tailscale:` in other principals (identity/principal.ts): a server of that name would share theirs. */
const RESERVED_HOSTS: ReadonlySet<string> = new Set(['login', 'userid', 'nodeid']);

export interface JoinRules {
  /** What was remembered. */
  readonly before: JoinRecord | null;
  /** Origins that any admin may name. */
  readonly allowed: readonly string[];
  /** Postern's own network, which is joined where none is named; null where there is none. */
  readonly home: string | null;
}

/** What a request makes of what was remembered: what it names is new, the rest is as before. Throws `JoinErrorCode`. */
export function joinRecordFor(
  { loginServer, hostname, tags, isOperator }: Omit<JoinRequest, 'authKey'>,
  { before, allowed, home }: JoinRules,
): JoinRecord {
  const server = loginServer === null ? (before?.loginServer ?? home) : originOf(loginServer);
  if (server === null)
    throw invalid('name the control server: postern up --login-server https://headscale.example.net');
  if (hasReservedHost(server))
    throw invalid(
      `the control server ${server} has the name of a kind of principals (login, userid, nodeid); name it by its full domain or its address`,
    );
  const isSameServer = before?.loginServer === server;
  const isByOperator = isOperator || (isSameServer && before.isByOperator);
  if (!isAllowed({ loginServer: server, isByOperator }, allowed))
    throw new AppError<JoinErrorCode>(
      'network_server_refused',
      `the operator has not allowed the control server ${server}, which would say who everybody is: start Postern with --allow-login-server ${server}, or run postern up on its machine as its own user`,
    );
  const name = (hostname ?? (isSameServer ? before.hostname : DEFAULT_HOSTNAME)).toLowerCase();
  if (!HOSTNAME.test(name))
    throw invalid('a host name has 1 to 63 letters, digits and inner hyphens, such as "ai"');
  const wanted = tags ?? (isSameServer ? before.tags : []);
  if (wanted.length > TAGS_MAX || !wanted.every((tag) => TAG.test(tag)))
    throw invalid(`tags look like "tag:gateway", and there are at most ${TAGS_MAX}`);
  return {
    loginServer: server,
    hostname: name,
    tags: [...new Set(wanted)].sort(),
    isByOperator,
    isWanted: true,
  };
}

/** Whether a control server may be joined: the operator named it in person, or lists it now. */
export function isAllowed(
  { loginServer, isByOperator }: Pick<JoinRecord, 'loginServer' | 'isByOperator'>,
  allowed: readonly string[],
): boolean {
  return !hasReservedHost(loginServer) && (isByOperator || allowed.includes(loginServer));
}

function hasReservedHost(server: string): boolean {
  return RESERVED_HOSTS.has(new URL(server).hostname);
}

/** One folder for each server, so that the keys of one are never shown to another. */
export function joinFolderOf(loginServer: string): string {
  return loginServer.replaceAll(/[^a-z0-9.-]/g, '_');
}

export function joinedNothing(): AppError<JoinErrorCode> {
  return new AppError<JoinErrorCode>('network_off', 'this gateway has joined no network: postern up');
}

/** Text of the control server's that people will follow: nothing but a page. */
export function webAddress(text: string): string | null {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : null;
}

function originOf(text: string): string {
  const url = URL.parse(text);
  const isPlain =
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '';
  if (!isPlain) throw invalid('the control server is not an address such as https://headscale.example.net');
  return url.origin;
}

function invalid(message: string): AppError<JoinErrorCode> {
  return new AppError<JoinErrorCode>('network_invalid', message);
}
