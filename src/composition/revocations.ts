/** A right that ends, ends what uses it: open exchanges are cut within a second (DESIGN section 5). */
import type { Clock } from '../base/clock.ts';
import type { ActiveExchanges } from '../gateway/index.ts';
import type { Documents } from '../gateway/documents/index.ts';
import type { Vault } from '../vault/index.ts';
import type { Approvals } from '../approvals/index.ts';
import type { Revocation } from '../doors/index.ts';
import type { Caller } from '../identity/index.ts';
import type { Doors } from './doors.ts';

export interface RevocationSources {
  readonly active: ActiveExchanges;
  readonly approvals: Pick<Approvals, 'withdraw'>;
  readonly tailnet: string;
  readonly doors: Pick<Doors, 'onRevoked' | 'onCallerChanged'>;
  readonly vault: Pick<Vault, 'onRevoked'>;
  readonly documents: Pick<Documents, 'onChange' | 'current'>;
  readonly clock: Clock;
}

/** 500 ms: a token or JWT that expires while its stream runs ends it within a second. */
const EXPIRY_CHECK_MS = 500;

/** Watches until the returned function is called. */
export function watchRevocations(sources: RevocationSources): () => void {
  const { active, doors, vault, documents, clock } = sources;
  const stops = [
    doors.onRevoked((revocation) => {
      active.cut(
        ({ caller }) => revocation.matches(caller),
        'access_revoked',
        'the right to this answer was withdrawn',
      );
      withdrawApprovals(sources, revocation);
    }),
    doors.onCallerChanged((changed) => {
      const access = documents.current().accessOf(changed);
      active.cut(
        ({ caller, route }) =>
          caller.door === changed.door &&
          caller.principal === changed.principal &&
          caller.device?.stableId === changed.device?.stableId &&
          route !== null &&
          access.grant(route.provider, route.model) === null,
        'access_revoked',
        'the network withdrew the right to this answer',
      );
    }),
    vault.onRevoked((keyId) => {
      active.cut(
        ({ route }) => route?.keyId === keyId,
        'key_revoked',
        'the provider key of this answer was revoked',
      );
    }),
    documents.onChange((policy) => {
      active.cut(
        // What is not routed yet is decided by the new policy.
        ({ caller, route }) =>
          route !== null && policy.accessOf(caller).grant(route.provider, route.model) === null,
        'access_revoked',
        'a change of policy withdrew the right to this answer',
      );
    }),
  ];
  const expiry = setInterval(() => {
    const now = clock.now();
    active.cut(
      ({ caller }) =>
        caller.token !== null && caller.token.expiresAt !== null && caller.token.expiresAt <= now,
      'access_revoked',
      'the token of this request has expired',
    );
  }, EXPIRY_CHECK_MS);
  expiry.unref();
  return () => {
    clearInterval(expiry);
    for (const stop of stops) stop();
  };
}

/** What somebody asked for, or may do by an approval, ends with the right by which they asked. */
function withdrawApprovals({ approvals, tailnet, clock }: RevocationSources, revocation: Revocation): void {
  const { door } = revocation;
  void approvals.withdraw(
    tailnet,
    ({ principal, deviceId, tokenId }) => {
      // By a token only its own questions; by a device only those that came from it without one.
      const caller: Caller = {
        principal,
        tailnet,
        door: tokenId === null ? door : 'token',
        via: null,
        device:
          deviceId === null ? null : { stableId: deviceId, name: '', addresses: [], tags: [], shared: false },
        user: null,
        groups: [],
        capabilities: new Map(),
        token:
          tokenId === null ? null : { id: tokenId, scopes: ['use'], models: null, expiresAt: clock.now() },
      };
      return revocation.matches(caller);
    },
    'the right by which it was asked for was withdrawn',
  );
}
