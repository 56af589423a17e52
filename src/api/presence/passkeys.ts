/**
 * Passkeys as proof of presence (Web Authentication Level 3). The relying party is the host name
 * of this origin, `localhost` on this machine: never an address, which browsers refuse. A passkey
 * belongs to the principal that registered it. User verification is preferred, not required: what
 * is proven is that a person touched something, which a program of the same user cannot.
 */
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import type { UnixMs } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import { sha256 } from '../../crypto/index.ts';
import type { PasskeyRow } from '../../store/shapes.ts';
import type { Actor } from '../actor.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';

/** 2 minutes: how long a browser's own dialog stays open. */
const CHALLENGE_TTL_MS = 2 * 60_000;
const CHALLENGES_MAX = 256;
const PASSKEYS_PER_PRINCIPAL_MAX = 20;
/** EdDSA, ES256, RS256 (COSE algorithm ids): what authenticators in use have. */
const ALGORITHMS = [-8, -7, -257];

export interface PasskeyDesk {
  list(actor: Actor): Promise<readonly PasskeyRow[]>;
  registrationOptions(actor: Actor, origin: string): Promise<PublicKeyCredentialCreationOptionsJSON>;
  /** Throws `presence_refused`. */
  register(
    actor: Actor,
    origin: string,
    answer: { readonly name: string; readonly response: unknown },
  ): Promise<PasskeyRow>;
  /** Throws `not_found` if the actor has no passkey. */
  assertionOptions(actor: Actor, origin: string): Promise<PublicKeyCredentialRequestOptionsJSON>;
  /** Throws `presence_refused`. */
  assert(actor: Actor, origin: string, response: unknown): Promise<PasskeyRow>;
}

interface Challenge {
  readonly challenge: string;
  readonly expiresAt: UnixMs;
}

export function createPasskeyDesk(deps: ApiDependencies): PasskeyDesk {
  const challenges = createChallenges(deps);
  const own = async (actor: Actor): Promise<readonly PasskeyRow[]> =>
    (await deps.store.listPasskeys(actor.tailnet)).filter((passkey) => passkey.principal === actor.principal);

  return {
    list: own,

    async registrationOptions(actor, origin) {
      const { generateRegistrationOptions } = await import('@simplewebauthn/server');
      const known = await own(actor);
      if (known.length >= PASSKEYS_PER_PRINCIPAL_MAX)
        throw new ApiError('too_many', `at most ${PASSKEYS_PER_PRINCIPAL_MAX} passkeys; remove one`);
      const options = await generateRegistrationOptions({
        rpName: 'Postern',
        rpID: relyingParty(origin),
        userName: actor.label,
        // Not the principal itself: authenticators show and sync it.
        userID: new Uint8Array(sha256(`${actor.tailnet}\0${actor.principal}`)),
        challenge: new Uint8Array(deps.random.bytes(32)),
        attestationType: 'none',
        supportedAlgorithmIDs: ALGORITHMS,
        timeout: CHALLENGE_TTL_MS,
        excludeCredentials: known.map((passkey) => ({
          id: passkey.credentialId,
          transports: [...passkey.transports],
        })),
        authenticatorSelection: { residentKey: 'discouraged', userVerification: 'preferred' },
      });
      challenges.put(actor, 'register', options.challenge);
      return options;
    },

    async register(actor, origin, { name, response }) {
      const { verifyRegistrationResponse } = await import('@simplewebauthn/server');
      const challenge = challenges.take(actor, 'register');
      const result = await verifyOrRefuse(deps, () =>
        verifyRegistrationResponse({
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library checks every member
          response: response as RegistrationResponseJSON,
          expectedChallenge: challenge,
          expectedOrigin: origin,
          expectedRPID: relyingParty(origin),
          requireUserVerification: false,
          supportedAlgorithmIDs: ALGORITHMS,
        }),
      );
      if (!result.verified) throw refused();
      const { credential } = result.registrationInfo;
      // An id that is taken would replace another person's passkey.
      const taken = (await deps.store.listPasskeys(actor.tailnet)).some(
        (passkey) => passkey.credentialId === credential.id,
      );
      if (taken) throw new ApiError('conflict', 'this passkey is registered already');
      const row: PasskeyRow = {
        credentialId: credential.id,
        tailnet: actor.tailnet,
        principal: actor.principal,
        name,
        publicKey: credential.publicKey,
        counter: credential.counter,
        transports: credential.transports ?? [],
        createdAt: deps.clock.now(),
        lastUsedAt: null,
      };
      await deps.store.putPasskey(row);
      return row;
    },

    async assertionOptions(actor, origin) {
      const { generateAuthenticationOptions } = await import('@simplewebauthn/server');
      const known = await own(actor);
      if (known.length === 0)
        throw new ApiError(
          'not_found',
          "you have no passkey here yet; use the code on the operator's terminal, then add one",
        );
      const options = await generateAuthenticationOptions({
        rpID: relyingParty(origin),
        challenge: new Uint8Array(deps.random.bytes(32)),
        timeout: CHALLENGE_TTL_MS,
        userVerification: 'preferred',
        allowCredentials: known.map((passkey) => ({
          id: passkey.credentialId,
          transports: [...passkey.transports],
        })),
      });
      challenges.put(actor, 'assert', options.challenge);
      return options;
    },

    async assert(actor, origin, response) {
      const { verifyAuthenticationResponse } = await import('@simplewebauthn/server');
      const challenge = challenges.take(actor, 'assert');
      const id = credentialIdOf(response);
      const passkey = (await own(actor)).find((candidate) => candidate.credentialId === id);
      if (passkey === undefined) throw refused();
      const result = await verifyOrRefuse(deps, () =>
        verifyAuthenticationResponse({
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library checks every member
          response: response as AuthenticationResponseJSON,
          expectedChallenge: challenge,
          expectedOrigin: origin,
          expectedRPID: relyingParty(origin),
          requireUserVerification: false,
          credential: {
            id: passkey.credentialId,
            publicKey: new Uint8Array(passkey.publicKey),
            counter: passkey.counter,
            transports: [...passkey.transports],
          },
        }),
      );
      if (!result.verified) throw refused();
      const used = {
        ...passkey,
        counter: result.authenticationInfo.newCounter,
        lastUsedAt: deps.clock.now(),
      };
      await deps.store.putPasskey(used);
      return used;
    },
  };
}

/** The host name of an origin; throws `presence_refused` for an address (WebAuthn section 5.1.3 wants a domain). */
function relyingParty(origin: string): string {
  const { hostname } = new URL(origin);
  if (hostname.startsWith('[') || /^[\d.]+$/.test(hostname)) {
    throw new ApiError(
      'presence_refused',
      'passkeys need a name: open this page as http://localhost, not by its address',
    );
  }
  return hostname;
}

/** The library throws on everything that does not fit, and the reason is for the log. */
async function verifyOrRefuse<Result>(deps: ApiDependencies, verify: () => Promise<Result>): Promise<Result> {
  try {
    return await verify();
  } catch (error) {
    deps.logger.info('a passkey was refused', { reason: describeError(error).slice(0, 300) });
    throw refused();
  }
}

function refused(): ApiError {
  return new ApiError('presence_refused', 'the passkey was not accepted');
}

function credentialIdOf(response: unknown): string | null {
  if (typeof response !== 'object' || response === null || !('id' in response)) return null;
  return typeof response.id === 'string' ? response.id : null;
}

/** One open challenge a principal and purpose; each is used once. */
function createChallenges(deps: ApiDependencies): {
  put(actor: Actor, purpose: 'register' | 'assert', challenge: string): void;
  take(actor: Actor, purpose: 'register' | 'assert'): string;
} {
  const open = new Map<string, Challenge>();
  const keyOf = (actor: Actor, purpose: string): string => `${purpose}\0${actor.tailnet}\0${actor.principal}`;
  return {
    put(actor, purpose, challenge) {
      const key = keyOf(actor, purpose);
      open.delete(key);
      for (const oldest of open.keys()) {
        if (open.size < CHALLENGES_MAX) break;
        open.delete(oldest);
      }
      open.set(key, { challenge, expiresAt: deps.clock.now() + CHALLENGE_TTL_MS });
    },
    take(actor, purpose) {
      const key = keyOf(actor, purpose);
      const found = open.get(key);
      open.delete(key);
      if (found === undefined || found.expiresAt <= deps.clock.now()) {
        throw new ApiError(
          'presence_refused',
          'no passkey was asked for, or it was more than two minutes ago; try again',
        );
      }
      return found.challenge;
    },
  };
}
