/**
 * Sign-in of people who let their own devices in: from the button on a device's page to the provider, back, and to the
 * one question whether this device is theirs. Each step is of one browser and happens once; all of it is kept in memory
 * and bounded. A device that was let in says so on its map stream.
 */
import { constantTimeEqual, sha256 } from '../../crypto/index.ts';
import type { UnixMs } from '../../base/clock.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { Coordinator } from './coordinator.ts';
import type { PendingLogin } from './pending-logins.ts';
import { approveLogin } from './registration.ts';
import { admit, type Admission } from './sign-in-rules.ts';
import type { SignInPerson, SignInProvider } from './sign-in-ports.ts';
import type { Tailnet } from './tailnet.ts';

/** 10 minutes: two factors and a slow person. */
const LIFE_MS = 10 * 60_000;
const ATTEMPTS_MAX = 1000;
const ATTEMPTS_OF_ADDRESS_MAX = 20;
const SECRET_BYTES = 32;

export interface SignInsOptions {
  readonly coordinator: Coordinator;
  readonly providers: readonly SignInProvider[];
}

interface Attempt {
  readonly loginId: string;
  readonly provider: SignInProvider;
  readonly address: string;
  /** Hash of the cookie that the browser has: what is kept here opens nothing. */
  readonly browser: Buffer;
  readonly until: UnixMs;
  readonly finish: (callback: URL) => Promise<SignInPerson>;
}

interface Question extends Pick<Attempt, 'loginId' | 'provider' | 'address' | 'browser' | 'until'> {
  readonly person: SignInPerson;
}

export type SignInBegun =
  | { readonly type: 'begun'; readonly url: string; readonly cookie: string }
  | { readonly type: 'busy' }
  | { readonly type: 'unknown' };

export type SignInFinished =
  /** One of the tailnets is to be chosen, and the device confirmed. */
  | {
      readonly type: 'ask';
      readonly login: PendingLogin;
      readonly token: string;
      readonly person: SignInPerson;
      readonly tailnets: readonly string[];
    }
  | { readonly type: 'forbidden' }
  | { readonly type: 'unknown' };

export type SignInDecided =
  | { readonly type: 'approved'; readonly tailnet: string; readonly waits: boolean }
  | { readonly type: 'turned_away' }
  | { readonly type: 'refused'; readonly why: string }
  | { readonly type: 'unknown' };

const UNKNOWN = { type: 'unknown' } as const;

export class SignIns {
  readonly #options: SignInsOptions;
  /** By `state`, which the provider hands back. */
  readonly #attempts = new Map<string, Attempt>();
  /** By the token in the form. */
  readonly #questions = new Map<string, Question>();

  constructor(options: SignInsOptions) {
    this.#options = options;
  }

  get providers(): readonly SignInProvider[] {
    return this.#options.providers;
  }

  login(id: string): PendingLogin | null {
    return this.#options.coordinator.logins.get(id);
  }

  /** Throws what the provider throws. */
  async begin(asked: {
    readonly loginId: string;
    readonly provider: string;
    readonly address: string;
    readonly redirectUri: string;
  }): Promise<SignInBegun> {
    const { coordinator } = this.#options;
    const { loginId, address } = asked;
    const provider = this.providers.find(({ id }) => id === asked.provider);
    if (provider === undefined || this.login(loginId) === null) return UNKNOWN;
    if (!this.#hasRoom(address)) return { type: 'busy' };
    const begun = await provider.begin(asked.redirectUri);
    if (!this.#hasRoom(address)) return { type: 'busy' };
    const cookie = this.#newSecret();
    this.#attempts.set(begun.state, {
      loginId,
      provider,
      address,
      browser: hashOf(cookie),
      until: coordinator.now() + LIFE_MS,
      finish: (callback) => begun.finish(callback),
    });
    return { type: 'begun', url: begun.url, cookie };
  }

  /** The browser came back from the provider. Throws what the provider throws; the attempt is spent either way. */
  async finish(callback: URL, cookie: string): Promise<SignInFinished> {
    const state = callback.searchParams.get('state') ?? '';
    const attempt = this.#attempts.get(state);
    if (attempt === undefined || !this.#isOf(attempt, cookie)) return UNKNOWN;
    this.#attempts.delete(state);
    const person = await attempt.finish(callback);
    const login = this.login(attempt.loginId);
    if (login === null) return UNKNOWN;
    const tailnets = this.#admitting(login, attempt.provider, person);
    if (tailnets.length === 0) return { type: 'forbidden' };
    if (!this.#hasRoom(attempt.address)) return UNKNOWN;
    const token = this.#newSecret();
    const { finish: _finish, ...rest } = attempt;
    this.#questions.set(token, { ...rest, person });
    return { type: 'ask', login, token, person, tailnets: tailnets.map(({ record }) => record.name) };
  }

  /** The person's answer; what they may is looked at anew. Durable when it resolves. */
  async decide(answer: {
    readonly loginId: string;
    readonly token: string;
    readonly cookie: string;
    readonly tailnet: string;
    readonly isTheirs: boolean;
  }): Promise<SignInDecided> {
    const { coordinator } = this.#options;
    const question = this.#questions.get(answer.token);
    if (question === undefined || !this.#isOf(question, answer.cookie)) return UNKNOWN;
    if (question.loginId !== answer.loginId) return UNKNOWN;
    this.#questions.delete(answer.token);
    const login = this.login(question.loginId);
    if (login === null) return UNKNOWN;
    if (!answer.isTheirs) {
      login.settle({ type: 'refused', why: 'the person who signed in said that this device is not theirs' });
      return { type: 'turned_away' };
    }
    const { provider, person } = question;
    const tailnet = this.#admitting(login, provider, person).find(
      ({ record }) => record.name === answer.tailnet,
    );
    const admission = tailnet === undefined ? null : admit(tailnet, { provider: provider.id, person });
    if (tailnet === undefined || admission?.type !== 'admitted') return UNKNOWN;
    const userId = putPerson(coordinator, tailnet, { provider: provider.id, person, admission });
    const outcome = approveLogin(coordinator, login, { tailnet, userId, by: 'person' });
    await coordinator.ledger.durable();
    if (outcome.type === 'refused') return outcome;
    login.settle(outcome);
    const node = coordinator.device(login.machineKey, login.nodeKey)?.node;
    return { type: 'approved', tailnet: tailnet.record.name, waits: node?.isAuthorized === false };
  }

  #admitting(login: PendingLogin, provider: SignInProvider, person: SignInPerson): Tailnet[] {
    return this.#options.coordinator
      .tailnets()
      .filter(
        (tailnet) =>
          (login.tailnet === null || login.tailnet === tailnet.id) &&
          admit(tailnet, { provider: provider.id, person }).type === 'admitted',
      );
  }

  #isOf({ browser, until }: Pick<Attempt, 'browser' | 'until'>, cookie: string): boolean {
    return until > this.#options.coordinator.now() && constantTimeEqual(browser, hashOf(cookie));
  }

  /** Forgets what is over, and says whether one more may begin. */
  #hasRoom(address: string): boolean {
    const now = this.#options.coordinator.now();
    let all = 0;
    let ofAddress = 0;
    for (const kept of [this.#attempts, this.#questions])
      for (const [key, item] of kept) {
        if (item.until <= now) kept.delete(key);
        else {
          all += 1;
          if (item.address === address) ofAddress += 1;
        }
      }
    return all < ATTEMPTS_MAX && ofAddress < ATTEMPTS_OF_ADDRESS_MAX;
  }

  #newSecret(): string {
    return encodeBase32(this.#options.coordinator.random.bytes(SECRET_BYTES));
  }
}

/** The user whom this person is here, made at the first sign-in. Throws AppError where there is no room. */
function putPerson(
  coordinator: Coordinator,
  tailnet: Tailnet,
  {
    provider,
    person,
    admission: { user, login, groups },
  }: {
    readonly provider: string;
    readonly person: SignInPerson;
    readonly admission: Extract<Admission, { type: 'admitted' }>;
  },
): number {
  const id = user?.id ?? coordinator.nextId();
  tailnet.putUser({
    ...(user ?? {
      id,
      tailnet: tailnet.id,
      login,
      displayName: person.name === '' ? login : person.name,
      role: 'member',
      createdAt: coordinator.now(),
    }),
    identity: { provider, subject: person.subject },
    groups,
  });
  return id;
}

function hashOf(secret: string): Buffer {
  return Buffer.from(sha256(Buffer.from(secret)));
}
