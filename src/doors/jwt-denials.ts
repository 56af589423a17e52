/**
 * The deny-list of JWTs (DESIGN section 5: "JWTs at expiry or by deny-list"). An issuer's tokens cannot be
 * taken back by us, so a valid one is refused here: by its `jti`, by the id under which records show it,
 * or all of a subject's that were issued before a moment. Kept in the store and in memory; asking it is
 * a look-up or two.
 */
import type { Clock, UnixMs } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { isPlainIdentityText, jwtPrincipal } from '../identity/principal.ts';
import type { SettingStore } from './ports.ts';

/** What is denied. */
export type DeniedJwt =
  | { readonly kind: 'jti'; readonly issuer: string; readonly jti: string }
  /** `tokenId` is the `jwt_…` of records and of `whoami`. */
  | { readonly kind: 'token'; readonly tokenId: string }
  /** Those without `iat` count as issued before. */
  | {
      readonly kind: 'subject';
      readonly issuer: string;
      readonly subject: string;
      readonly issuedBefore: UnixMs;
    };

export interface JwtDenial {
  readonly id: string;
  readonly denied: DeniedJwt;
  readonly createdAt: UnixMs;
  /** Principal of who denied it. */
  readonly createdBy: string;
}

/** A verified JWT, as far as the list asks about it. */
export interface JwtFacts {
  readonly issuer: string;
  readonly principal: string;
  readonly jti: string | null;
  /** `jwt_…`, from the token's hash. */
  readonly tokenId: string;
  readonly issuedAt: UnixMs | null;
}

export type JwtDenialErrorCode = 'jwt_denial_invalid' | 'jwt_denial_limit';

export interface JwtDenials {
  /** Whether a JWT is refused although it is valid. Memory only. */
  denies(facts: JwtFacts): boolean;
  /** Newest first. */
  list(): readonly JwtDenial[];
  /**
   * Effective at once in this process, also where the store then fails (the promise rejects).
   * @throws AppError<JwtDenialErrorCode>, and whatever the store rejects with
   */
  add(denied: DeniedJwt, createdBy: string): Promise<JwtDenial>;
  /** False if there is none. */
  remove(id: string): Promise<boolean>;
  /** Called after each addition; returns the function that ends the subscription. */
  onAdded(listener: (denial: JwtDenial) => void): () => void;
}

export interface JwtDenialsOptions {
  readonly store: SettingStore;
  readonly tailnet: string;
  /** Values of `iss` that the operator configured: another is a mistake that would deny nobody. */
  readonly issuers: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

/** Denials kept; the list is written whole. */
const DENIALS_MAX = 2_000;
/** As long as identities may be. */
const TEXT_MAX = 512;

/** Loads the list of the tailnet. Rejects if the store does, or if what it holds cannot be read: a list that is lost would let in whom it names. */
export async function createJwtDenials(options: JwtDenialsOptions): Promise<JwtDenials> {
  const text = await options.store.getSetting(settingName(options.tailnet));
  return new DenialList(options, text === null ? [] : readDenials(text));
}

function settingName(tailnet: string): string {
  return `jwt.denials:${tailnet}`;
}

class DenialList implements JwtDenials {
  readonly #options: JwtDenialsOptions;
  readonly #byId = new Map<string, JwtDenial>();
  readonly #listeners = new Set<(denial: JwtDenial) => void>();
  /** What is asked on the way of a request; made anew at each change. */
  #index: Index = { exact: new Set(), subjects: new Map() };
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: JwtDenialsOptions, denials: readonly JwtDenial[]) {
    this.#options = options;
    for (const denial of denials) this.#byId.set(denial.id, denial);
    this.#index = indexOf(denials);
  }

  denies(facts: JwtFacts): boolean {
    const { exact, subjects } = this.#index;
    if (exact.size === 0 && subjects.size === 0) return false;
    if (exact.has(facts.tokenId)) return true;
    if (facts.jti !== null && exact.has(jtiKey(facts.issuer, facts.jti))) return true;
    const issuedBefore = subjects.get(facts.principal);
    return issuedBefore !== undefined && (facts.issuedAt === null || facts.issuedAt < issuedBefore);
  }

  list(): readonly JwtDenial[] {
    return [...this.#byId.values()].toSorted((a, b) => b.createdAt - a.createdAt);
  }

  add(denied: DeniedJwt, createdBy: string): Promise<JwtDenial> {
    return this.#change(async () => {
      const fault = faultOf(denied, this.#options.issuers);
      if (fault !== null) throw new AppError<JwtDenialErrorCode>('jwt_denial_invalid', fault);
      if (this.#byId.size >= DENIALS_MAX) {
        throw new AppError<JwtDenialErrorCode>(
          'jwt_denial_limit',
          `the deny-list has ${DENIALS_MAX} entries, the most it may; remove those whose tokens have expired`,
        );
      }
      const { clock, random } = this.#options;
      const denial = { id: newId('deny', clock, random), denied, createdAt: clock.now(), createdBy };
      // Here first: were the store slow or down, the token must be refused all the same.
      this.#byId.set(denial.id, denial);
      this.#index = indexOf([...this.#byId.values()]);
      for (const listener of this.#listeners) listener(denial);
      await this.#write();
      return denial;
    });
  }

  remove(id: string): Promise<boolean> {
    return this.#change(async () => {
      const denial = this.#byId.get(id);
      if (denial === undefined) return false;
      this.#byId.delete(id);
      try {
        await this.#write();
      } catch (error) {
        this.#byId.set(id, denial);
        throw error;
      }
      this.#index = indexOf([...this.#byId.values()]);
      return true;
    });
  }

  onAdded(listener: (denial: JwtDenial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #write(): Promise<void> {
    const { store, tailnet } = this.#options;
    return store.putSetting(settingName(tailnet), JSON.stringify([...this.#byId.values()]));
  }

  /** Changes run one after another, so that none writes over another. */
  #change<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}

interface Index {
  /** Token ids, and issuer with `jti`. */
  readonly exact: ReadonlySet<string>;
  /** By principal; of several moments the latest. */
  readonly subjects: ReadonlyMap<string, UnixMs>;
}

function indexOf(denials: readonly JwtDenial[]): Index {
  const exact = new Set<string>();
  const subjects = new Map<string, UnixMs>();
  for (const { denied } of denials) {
    if (denied.kind === 'token') exact.add(denied.tokenId);
    else if (denied.kind === 'jti') exact.add(jtiKey(denied.issuer, denied.jti));
    else {
      const principal = jwtPrincipal(denied.issuer, denied.subject);
      subjects.set(principal, Math.max(subjects.get(principal) ?? -Infinity, denied.issuedBefore));
    }
  }
  return { exact, subjects };
}

/** Issuers are plain text without line feeds, so no two pairs have one key. */
function jtiKey(issuer: string, jti: string): string {
  return `${issuer}\n${jti}`;
}

function faultOf(denied: DeniedJwt, issuers: readonly string[]): string | null {
  if (denied.kind === 'token') {
    return /^jwt_[0-9a-f]{24}$/.test(denied.tokenId)
      ? null
      : 'a token id is the jwt_… that records show, with 24 hexadecimal digits';
  }
  if (!issuers.includes(denied.issuer)) {
    const known = issuers.length === 0 ? 'none is configured' : `configured are ${issuers.join(', ')}`;
    return `the issuer is not one whose JWTs are accepted; ${known}`;
  }
  if (denied.kind === 'jti') {
    return denied.jti.length > 0 && denied.jti.length <= TEXT_MAX
      ? null
      : `a jti has 1 to ${TEXT_MAX} characters`;
  }
  return isPlainIdentityText(denied.subject, TEXT_MAX)
    ? null
    : `a subject has 1 to ${TEXT_MAX} printable characters`;
}

/** What this class wrote. */
function readDenials(text: string): readonly JwtDenial[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value) || !value.every(isDenial))
    throw new Error('assertion failed: the stored deny-list of JWTs has its own shape');
  return value;
}

function isDenial(value: unknown): value is JwtDenial {
  if (!isRecord(value) || !isRecord(value['denied'])) return false;
  const { denied } = value;
  const has = (name: string, type: 'string' | 'number'): boolean => typeof denied[name] === type;
  const isKnown =
    (denied['kind'] === 'token' && has('tokenId', 'string')) ||
    (denied['kind'] === 'jti' && has('issuer', 'string') && has('jti', 'string')) ||
    (denied['kind'] === 'subject' &&
      has('issuer', 'string') &&
      has('subject', 'string') &&
      has('issuedBefore', 'number'));
  return isKnown && typeof value['id'] === 'string' && typeof value['createdAt'] === 'number';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
