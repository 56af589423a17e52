/**
 * The door `serve`: requests that `tailscale serve` hands on, with the caller in its headers. They
 * are read on the listener of its own and nowhere else, for each request anew: one connection of
 * the proxy carries many people. Serve deletes what callers wrote in these headers before it sets
 * them; whoever can reach the listener without serve can forge them, so it is a socket in a folder
 * that only serve's user and ours can enter, or a loopback port on a machine without other users.
 *
 * Serve names people by login only. Tagged devices and Funnel bear no name: no identity here. A call
 * from this host to its own name on the network bears the login of the host's owner, whichever OS
 * user makes it (serve.go, addTailscaleIdentityHeaders): no identity here either, loopback has one.
 */
import type { Clock } from '../base/clock.ts';
import type { Caller } from '../identity/caller.ts';
import { isPlainIdentityText, tailscaleLoginPrincipal } from '../identity/principal.ts';
import { classifyIp, formatIp, parseIp } from '../wire/ip.ts';
import { type Door, type DoorAnswer, NO_CAPABILITIES } from './door.ts';
import { decodeEncodedWords } from './rfc2047.ts';

export interface ServeDoorOptions {
  readonly tailnet: string;
  /** Addresses of this machine besides loopback, those on the network among them. */
  readonly ownAddresses: () => readonly string[];
  readonly clock: Clock;
}

/** Asking the system for its addresses takes longer than the rest of this door: 1 s. */
const OWN_ADDRESSES_MAX_AGE_MS = 1000;
/** Answers of one identity are one object; the one made first leaves when there are more. */
const CALLERS_MAX = 10_000;
const LOGIN_MAX_CHARS = 320;

export function createServeDoor(options: ServeDoorOptions): Door {
  const answers = new Map<string, DoorAnswer>();
  const isOwnAddress = ownAddressCheck(options);
  return {
    name: 'serve',
    identify(facts, rawHeaders) {
      if (facts.listener !== 'serve')
        return { kind: 'none', why: 'serve headers are read on the serve listener only' };
      const { remoteAddress } = facts.socket;
      if (remoteAddress !== undefined && !isLoopback(remoteAddress))
        return refused('serve_headers_invalid', 'the proxy is on another machine');
      const headers = readHeaders(rawHeaders);
      if (headers.isFunnel)
        return refused('funnel_refused', 'the request came through Funnel, from the public internet');
      if (headers.logins > 1 || headers.names > 1)
        return refused('serve_headers_invalid', 'an identity header is there more than once');
      if (headers.logins === 0)
        return { kind: 'none', why: 'serve named nobody: a tagged device, or not behind serve' };
      if (headers.sources > 1)
        return refused('serve_headers_invalid', 'a header that names the source is there more than once');
      if (headers.sources === 1 && isOwnAddress(headers.source))
        return { kind: 'none', why: 'the call comes from this host, whose users serve does not tell apart' };
      return identified(headers, answers, options.tailnet);
    },
  };
}

/** What is no address is held for this host's: serve writes nothing else. */
function ownAddressCheck({ ownAddresses, clock }: ServeDoorOptions): (source: string) => boolean {
  let own: ReadonlySet<string> = new Set();
  let readAt = Number.NEGATIVE_INFINITY;
  return (source) => {
    const ip = parseIp(source);
    if (ip === null || classifyIp(ip) === 'loopback') return true;
    const now = clock.monotonicMs();
    if (now - readAt >= OWN_ADDRESSES_MAX_AGE_MS) {
      own = new Set(
        ownAddresses().flatMap((text) => {
          const address = parseIp(text);
          return address === null ? [] : [formatIp(address)];
        }),
      );
      readAt = now;
    }
    return own.has(formatIp(ip));
  };
}

function identified(headers: ServeHeaders, answers: Map<string, DoorAnswer>, tailnet: string): DoorAnswer {
  const key = `${headers.login}\n${headers.name}`;
  const ready = answers.get(key);
  if (ready !== undefined) return ready;
  const login = decodeEncodedWords(headers.login);
  const name = decodeEncodedWords(headers.name);
  if (login === null || !isPlainIdentityText(login, LOGIN_MAX_CHARS))
    return refused('serve_headers_invalid', 'the login is not a plain name');
  const displayName = name !== null && isPlainIdentityText(name, 255) ? name : null;
  const answer: DoorAnswer = { kind: 'caller', caller: serveCaller(tailnet, login, displayName) };
  if (answers.size >= CALLERS_MAX) {
    const oldest = answers.keys().next();
    if (oldest.done !== true) answers.delete(oldest.value);
  }
  answers.set(key, answer);
  return answer;
}

interface ServeHeaders {
  login: string;
  logins: number;
  name: string;
  names: number;
  isFunnel: boolean;
  /** Of the caller, as serve saw it: `X-Forwarded-For`, one address without a port. */
  source: string;
  sources: number;
}

/** First letters of the headers that count: most others are ruled out without lower-casing them. */
const INITIAL_T = 0x74;
const INITIAL_X = 0x78;

function readHeaders(rawHeaders: readonly string[]): ServeHeaders {
  const headers: ServeHeaders = {
    login: '',
    logins: 0,
    name: '',
    names: 0,
    isFunnel: false,
    source: '',
    sources: 0,
  };
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const initial = name.charCodeAt(0) | 0x20;
    if (initial !== INITIAL_T && initial !== INITIAL_X) continue;
    const value = rawHeaders[i + 1] ?? '';
    switch (name.toLowerCase()) {
      case 'tailscale-user-login':
        headers.logins += 1;
        headers.login = value;
        break;
      case 'tailscale-user-name':
        headers.names += 1;
        headers.name = value;
        break;
      case 'x-forwarded-for':
        headers.sources += 1;
        headers.source = value;
        break;
      case 'tailscale-funnel-request':
        headers.isFunnel = true;
        break;
      default:
    }
  }
  return headers;
}

function isLoopback(address: string): boolean {
  const ip = parseIp(address);
  return ip !== null && classifyIp(ip) === 'loopback';
}

function refused(code: 'funnel_refused' | 'serve_headers_invalid', why: string): DoorAnswer {
  return { kind: 'refused', status: 403, code, why };
}

function serveCaller(tailnet: string, login: string, displayName: string | null): Caller {
  return {
    principal: tailscaleLoginPrincipal(login),
    tailnet,
    door: 'serve',
    via: null,
    device: null,
    user: { id: login, login, displayName },
    groups: [],
    capabilities: NO_CAPABILITIES,
    token: null,
  };
}
