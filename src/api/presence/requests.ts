/**
 * Asking for presence: a command line (or a page) asks, a person answers. Either a browser of the
 * same principal that has presence approves, or somebody who sees the operator's terminal gives
 * the one-time code that is printed there. In memory only, bounded, over after five minutes.
 */
import type { UnixMs } from '../../base/clock.ts';
import { newId } from '../../base/ids.ts';
import type { Secret } from '../../base/secret.ts';
import { constantTimeEqual, sha256 } from '../../crypto/index.ts';
import type { Actor, Presence } from '../actor.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { newSecret } from './sessions.ts';

/** 5 minutes: a person goes to another window, not to lunch. */
export const REQUEST_TTL_MS = 5 * 60_000;
const REQUESTS_MAX = 64;
const REQUESTS_PER_PRINCIPAL_MAX = 4;
/** A caller cannot flood the operator's terminal: one line in 5 s each, 60 an hour in all. */
const ANNOUNCE_INTERVAL_MS = 5_000;
const ANNOUNCE_WINDOW_MS = 60 * 60_000;
const ANNOUNCE_PER_WINDOW_MAX = 60;

export interface PresenceRequest {
  readonly id: string;
  readonly principal: string;
  readonly label: string;
  /** What asks, in its own words; cleaned for display. */
  readonly client: string;
  /** For a person to compare between command line and browser. */
  readonly userCode: string;
  readonly createdAt: UnixMs;
  readonly expiresAt: UnixMs;
  /** Null while it waits. */
  readonly approvedBy: Presence | null;
}

interface Held extends PresenceRequest {
  readonly pollHash: Uint8Array;
  readonly codeHash: Uint8Array;
  approvedBy: Presence | null;
}

export interface PresenceDesk {
  /** Throws `too_many`. `announced` says whether a code was printed on the operator's terminal. */
  ask(
    actor: Actor,
    options: { readonly client: string; readonly announce: boolean; readonly consoleOrigin: string },
  ): {
    readonly request: PresenceRequest;
    readonly pollSecret: Secret;
    readonly announced: boolean;
  };
  /** Throws `not_found` for an unknown, foreign or expired id. */
  find(actor: Actor, id: string): PresenceRequest;
  /** `presence` is the approver's; what is collected ends with it. */
  approve(actor: Actor, id: string, presence: Presence): void;
  /** The presence that approved it, which ends the request; null while it waits. Throws `presence_refused` on a wrong secret. */
  collect(actor: Actor, id: string, pollSecret: string): Presence | null;
  /** Takes the printed code of one of the actor's requests, and approves that one. Throws `presence_refused`. */
  redeem(actor: Actor, code: string): PresenceRequest;
  /** Takes the printed code of any of the actor's requests, and approves `id`. Throws `presence_refused`. */
  confirm(actor: Actor, id: string, code: string): void;
}

export function createPresenceDesk(
  deps: Pick<ApiDependencies, 'clock' | 'random' | 'announce'>,
): PresenceDesk {
  const held = new Map<string, Held>();
  const mayAnnounce = createAnnounceLimit();
  const hash = (text: string): Uint8Array => sha256(text);

  const own = (actor: Actor, id: string): Held => {
    const request = held.get(id);
    if (
      request === undefined ||
      request.principal !== actor.principal ||
      request.expiresAt <= deps.clock.now()
    ) {
      throw new ApiError('not_found', 'no such presence request, or it is older than five minutes');
    }
    return request;
  };

  const redeem = (actor: Actor, code: string): PresenceRequest => {
    const given = hash(code);
    for (const request of held.values()) {
      if (request.principal !== actor.principal || request.expiresAt <= deps.clock.now()) continue;
      if (request.approvedBy !== null || !constantTimeEqual(given, request.codeHash)) continue;
      request.approvedBy = { how: 'link', until: null };
      return request;
    }
    throw new ApiError(
      'presence_refused',
      'the code is wrong, used or older than five minutes; ask for a new one',
    );
  };

  return {
    ask(actor, options) {
      const now = deps.clock.now();
      for (const [id, request] of held) if (request.expiresAt <= now) held.delete(id);
      const mine = [...held.values()].filter((request) => request.principal === actor.principal).length;
      if (held.size >= REQUESTS_MAX || mine >= REQUESTS_PER_PRINCIPAL_MAX) {
        throw new ApiError('too_many', 'too many presence requests are open; finish or wait five minutes', {
          headers: { 'retry-after': '60' },
        });
      }
      const code = newSecret(deps.random);
      const pollSecret = newSecret(deps.random);
      const request: Held = {
        id: newId('prs', deps.clock, deps.random),
        principal: actor.principal,
        label: actor.label,
        client: displayText(options.client, 60),
        userCode: newSecret(deps.random).reveal().slice(0, 6).toUpperCase(),
        createdAt: now,
        expiresAt: now + REQUEST_TTL_MS,
        pollHash: hash(pollSecret.reveal()),
        codeHash: hash(code.reveal()),
        approvedBy: null,
      };
      held.set(request.id, request);
      const announced = options.announce && mayAnnounce(actor.principal, now);
      if (announced)
        deps.announce(announcement(request, `${options.consoleOrigin}/presence#${code.reveal()}`));
      return { request, pollSecret, announced };
    },

    find: own,

    approve(actor, id, presence) {
      own(actor, id).approvedBy = presence;
    },

    collect(actor, id, pollSecret) {
      const request = own(actor, id);
      if (!constantTimeEqual(hash(pollSecret), request.pollHash)) {
        throw new ApiError('presence_refused', 'the poll secret is not that of this request');
      }
      if (request.approvedBy !== null) held.delete(id);
      return request.approvedBy;
    },

    redeem,

    confirm(actor, id, code) {
      const target = own(actor, id);
      const printed = redeem(actor, code);
      if (printed.id !== id) held.delete(printed.id);
      target.approvedBy = { how: 'link', until: null };
    },
  };
}

/** Text of strangers without control characters, so that it cannot steer a terminal. */
export function displayText(text: string, max: number): string {
  // Line and paragraph separators, bidirectional controls and everything that is no printable character.
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?').slice(0, max);
}

function announcement(request: PresenceRequest, url: string): string {
  return (
    `presence for ${displayText(request.label, 80)} (${displayText(request.principal, 80)}) is asked by ${request.client}, ` +
    `which shows ${request.userCode}. If that is you, open ${url} or enter the code after the #. Else ignore this.`
  );
}

function createAnnounceLimit(): (principal: string, now: UnixMs) => boolean {
  const last = new Map<string, UnixMs>();
  let windowStart = 0;
  let inWindow = 0;
  return (principal, now) => {
    if (now - windowStart >= ANNOUNCE_WINDOW_MS) {
      windowStart = now;
      inWindow = 0;
      last.clear();
    }
    if (
      inWindow >= ANNOUNCE_PER_WINDOW_MAX ||
      now - (last.get(principal) ?? -Infinity) < ANNOUNCE_INTERVAL_MS
    )
      return false;
    inWindow += 1;
    last.set(principal, now);
    return true;
  };
}
