/**
 * The claim: how a closed server gets its first admin. A one-time code of 160 bits is printed on
 * the operator's terminal as a link; its hash is kept until it is used or an hour has passed. The
 * code travels in the link's fragment, which browsers do not send, so that it reaches no log.
 */
import { Buffer } from 'node:buffer';
import { type UnixMs, toRfc3339 } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import { constantTimeEqual, sha256, sha256Hex } from '../../crypto/index.ts';
import type { Actor } from '../actor.ts';
import { recordAction } from '../audit-trail.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { newSecret } from './sessions.ts';

/** 1 hour: long enough to find a browser, short enough to scroll away. A restart prints another. */
export const CLAIM_TTL_MS = 60 * 60_000;
const SETTING = 'claim.offer';

export interface ClaimOffer {
  readonly code: Secret;
  readonly expiresAt: UnixMs;
}

export interface ClaimDesk {
  isClaimed(): Promise<boolean>;
  /** A new code, which ends any earlier one; null if the server has an admin. */
  offer(): Promise<ClaimOffer | null>;
  /** Makes the actor an admin. Throws `already_claimed`, `claim_refused`. */
  claim(actor: Actor, code: string): Promise<void>;
}

export function createClaimDesk(deps: ApiDependencies): ClaimDesk {
  /** Claims take turns, so that one code makes one admin. */
  let turn: Promise<unknown> = Promise.resolve();

  const isClaimed = async (): Promise<boolean> => {
    if (deps.namesAdmin()) return true;
    const grants = await deps.store.listGrants();
    return grants.some((grant) => grant.role === 'admin');
  };

  const claimNow = async (actor: Actor, code: string): Promise<void> => {
    if (await isClaimed())
      throw new ApiError(
        'already_claimed',
        'this server has an admin already; an admin can grant you a role',
      );
    const offer = readOffer(await deps.store.getSetting(SETTING));
    const given = sha256(code);
    const isRight =
      offer !== null && offer.expiresAt > deps.clock.now() && constantTimeEqual(given, offer.hash);
    if (!isRight) {
      deps.logger.warn('a claim was refused', { principal: actor.principal, door: actor.door });
      throw new ApiError(
        'claim_refused',
        'the claim code is wrong, used or older than an hour; start the server again for a new link',
      );
    }
    // The code ends first: a failure from here on costs a restart, never a second admin, nor one unrecorded.
    await deps.store.putSetting(SETTING, '');
    await recordAction(deps, actor, { action: 'claim', target: actor.principal, presence: 'claim' });
    await deps.store.putGrant({
      principal: actor.principal,
      role: 'admin',
      models: ['**'],
      createdAt: deps.clock.now(),
      createdBy: 'claim',
      expiresAt: null,
      approvalId: null,
    });
    await deps.documents.reloadGrants();
    deps.logger.info('the server was claimed', { principal: actor.principal });
  };

  return {
    isClaimed,
    async offer() {
      if (await isClaimed()) return null;
      const code = newSecret(deps.random);
      const expiresAt = deps.clock.now() + CLAIM_TTL_MS;
      const hash = sha256Hex(code.reveal());
      await deps.store.putSetting(SETTING, JSON.stringify({ hash, expires_at: toRfc3339(expiresAt) }));
      return { code, expiresAt };
    },
    claim(actor, code) {
      const mine = turn.then(() => claimNow(actor, code));
      turn = mine.catch(() => undefined);
      return mine;
    },
  };
}

function readOffer(text: string | null): { readonly hash: Uint8Array; readonly expiresAt: UnixMs } | null {
  if (text === null || text === '') return null;
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('hash' in value) || !('expires_at' in value))
    return null;
  if (typeof value.hash !== 'string' || typeof value.expires_at !== 'string') return null;
  return { hash: Buffer.from(value.hash, 'hex'), expiresAt: Date.parse(value.expires_at) };
}
