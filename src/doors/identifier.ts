/**
 * Who is calling: asks the doors of the listener and the token verifiers (DESIGN section 5). A
 * presented Postern token or JWT of a configured issuer is the only identity then, and an invalid
 * one is the end; there is no default and no anonymous caller.
 */
import type { IncomingMessage } from 'node:http';
import { constantTimeEqual, sha256 } from '../crypto/index.ts';
import type { Secret } from '../base/secret.ts';
import type { Caller, DoorName } from '../identity/caller.ts';
import { BREAK_GLASS_PRINCIPAL } from '../identity/principal.ts';
import {
  type ConnectionFacts,
  type Door,
  type DoorAnswer,
  type DoorRefusalCode,
  type ListenerKind,
  NO_CAPABILITIES,
} from './door.ts';
import { type Presented, findPresented } from './presented.ts';
import type { JwtVerdict, JwtVerifier } from './jwt.ts';
import type { TokenVerifier } from './tokens.ts';

export type IdentifyResult =
  | { readonly ok: true; readonly caller: Caller }
  | {
      readonly ok: false;
      readonly status: 401 | 403;
      /** The same two words for every stranger; `reason` says more, for the record. */
      readonly code: 'no_identity' | 'token_invalid';
      readonly message: string;
      /** Answer with `WWW-Authenticate: Bearer`: a token could be presented here. */
      readonly challenge: boolean;
      readonly triedDoors: readonly DoorName[];
      readonly reason: DoorRefusalCode;
      /** For the record, never for the caller. */
      readonly why: string;
    };

export interface Identifier {
  /** Synchronous once the connection is known. Never throws or rejects. */
  identify(req: IncomingMessage, listener: ListenerKind): IdentifyResult | Promise<IdentifyResult>;
}

export interface IdentifierOptions {
  /** Ambient doors of each listener, in the order to ask them; a missing listener has none. */
  readonly doors: Readonly<Partial<Record<ListenerKind, readonly Door[]>>>;
  readonly tokens: TokenVerifier;
  readonly jwt: JwtVerifier | null;
  /** The operator's token from the process environment; its caller is `operator:break-glass`. */
  readonly breakGlass?: Secret | null;
  readonly tailnet: string;
}

/** Where a token may be presented (DESIGN section 4): not behind serve, whose proxy names the caller. */
const TOKEN_LISTENERS: ReadonlySet<ListenerKind> = new Set<ListenerKind>([
  'loopback',
  'socket',
  'tailnet',
  'public',
]);

const UNUSABLE_WHY = 'x-postern-authorization holds neither a token nor a JWT of a configured issuer';

const NOT_RECOGNISED: DoorAnswer = { kind: 'none', why: 'this listener has no ambient door' };

export function createIdentifier(options: IdentifierOptions): Identifier {
  const breakGlass = createBreakGlass(options);
  const presentedOptions = {
    isOurJwt: (text: string) => options.jwt?.isOurs(text) ?? false,
    isBreakGlass: (text: string) => breakGlass?.matches(text) ?? false,
  };

  const verifyJwt = (
    text: string,
    via: DoorName | null,
    context: Context,
  ): IdentifyResult | Promise<IdentifyResult> => {
    if (options.jwt === null) return rejectToken('jwt_rejected', 'no issuer is configured', context);
    const toResult = (verdict: JwtVerdict): IdentifyResult =>
      verdict.ok ? verdict : rejectToken('jwt_rejected', verdict.why, context);
    const verdict = options.jwt.verify(text, via);
    return verdict instanceof Promise ? verdict.then(toResult) : toResult(verdict);
  };

  const verifyToken = (text: string, via: DoorName | null, context: Context): IdentifyResult => {
    if (breakGlass?.matches(text) === true) return { ok: true, caller: breakGlass.caller(via) };
    const verdict = options.tokens.verify(text, via);
    return verdict.ok
      ? verdict
      : rejectToken(verdict.reason, `a Postern token was presented: ${verdict.reason}`, context);
  };

  const decide = (
    presented: Presented,
    ambient: DoorAnswer,
    context: Context,
  ): IdentifyResult | Promise<IdentifyResult> => {
    if (presented.kind === 'none') return fromAmbient(ambient, context);
    if (presented.kind === 'several')
      return rejectToken('token_ambiguous', 'two different tokens were presented', context);
    if (presented.kind === 'unusable') return rejectToken('token_unknown', UNUSABLE_WHY, context);
    const via = ambient.kind === 'caller' ? ambient.caller.door : null;
    return presented.kind === 'jwt'
      ? verifyJwt(presented.text, via, context)
      : verifyToken(presented.text, via, context);
  };

  const contexts = new Map<ListenerKind, Context>();
  const contextOf = (listener: ListenerKind): Context => {
    const known = contexts.get(listener);
    if (known !== undefined) return known;
    const made = { doors: options.doors[listener] ?? [], mayPresentToken: TOKEN_LISTENERS.has(listener) };
    contexts.set(listener, made);
    return made;
  };

  return {
    identify(req, listener) {
      const context = contextOf(listener);
      const { doors } = context;
      const facts: ConnectionFacts = { listener, socket: req.socket };
      const presented = context.mayPresentToken
        ? findPresented(req.rawHeaders, req.url ?? '', presentedOptions)
        : NO_TOKEN;
      const ambient = askDoors(doors, 0, facts, req.rawHeaders);
      return ambient instanceof Promise
        ? ambient.then((answer) => decide(presented, answer, context))
        : decide(presented, ambient, context);
    },
  };
}

const NO_TOKEN: Presented = { kind: 'none' };

interface Context {
  readonly doors: readonly Door[];
  readonly mayPresentToken: boolean;
}

/** The first door that knows the caller, or knows enough to refuse; else the last `none`. */
function askDoors(
  doors: readonly Door[],
  from: number,
  facts: ConnectionFacts,
  rawHeaders: readonly string[],
): DoorAnswer | Promise<DoorAnswer> {
  let last = NOT_RECOGNISED;
  for (let i = from; i < doors.length; i += 1) {
    const answer = doors[i]?.identify(facts, rawHeaders) ?? NOT_RECOGNISED;
    if (answer instanceof Promise) {
      return answer.then((known) =>
        known.kind === 'none' && i + 1 < doors.length ? askDoors(doors, i + 1, facts, rawHeaders) : known,
      );
    }
    if (answer.kind !== 'none') return answer;
    last = answer;
  }
  return last;
}

function fromAmbient(answer: DoorAnswer, context: Context): IdentifyResult {
  if (answer.kind === 'caller') {
    const { device, user } = answer.caller;
    /* It carries the traffic of others: whoever it is presents a token. */
    if (device?.shared === true && user === null)
      return refuseAmbient(401, 'device_shared', 'a shared device stands for no person', context);
    return { ok: true, caller: answer.caller };
  }
  if (answer.kind === 'refused') return refuseAmbient(answer.status, answer.code, answer.why, context);
  return refuseAmbient(context.mayPresentToken ? 401 : 403, 'not_recognised', answer.why, context);
}

function refuseAmbient(
  status: 401 | 403,
  reason: DoorRefusalCode,
  why: string,
  context: Context,
): IdentifyResult {
  const triedDoors = context.doors.map((door) => door.name);
  const tried =
    triedDoors.length === 0
      ? 'no door knows callers here'
      : `the door ${triedDoors.join(', ')} did not recognise this connection`;
  return {
    ok: false,
    status,
    code: 'no_identity',
    message: context.mayPresentToken
      ? `no identity: ${tried}, and no Postern token was presented`
      : `no identity: ${tried}`,
    challenge: status === 401 && context.mayPresentToken,
    triedDoors,
    reason,
    why,
  };
}

/** Terminal: a bad token is never replaced by an ambient identity. One wording for every fault. */
function rejectToken(reason: DoorRefusalCode, why: string, context: Context): IdentifyResult {
  return {
    ok: false,
    status: 401,
    code: 'token_invalid',
    message: 'the presented token is not valid',
    challenge: true,
    triedDoors: [...context.doors.map((door) => door.name), 'token'],
    reason,
    why,
  };
}

interface BreakGlass {
  matches(text: string): boolean;
  caller(via: DoorName | null): Caller;
}

/** The break-glass token administers and reads; it never calls a model (no `use`). */
function createBreakGlass({ breakGlass, tailnet }: IdentifierOptions): BreakGlass | null {
  if (breakGlass === undefined || breakGlass === null) return null;
  const digest = sha256(breakGlass.reveal());
  const callers = new Map<DoorName | null, Caller>();
  return {
    /* Digests first, so that the time tells nothing of the token's length. */
    matches: (text) => constantTimeEqual(sha256(text), digest),
    caller(via) {
      const known = callers.get(via);
      if (known !== undefined) return known;
      const made: Caller = {
        principal: BREAK_GLASS_PRINCIPAL,
        tailnet,
        door: 'token',
        via,
        device: null,
        user: null,
        groups: [],
        capabilities: NO_CAPABILITIES,
        token: { id: 'break-glass', scopes: ['read', 'admin', 'metrics'], models: null, expiresAt: null },
      };
      callers.set(via, made);
      return made;
    },
  };
}
