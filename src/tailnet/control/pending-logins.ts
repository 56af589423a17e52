/**
 * Devices that wait for a person: each has a page of its own, whose address the device shows. Kept in
 * memory and bounded; a device whose login is forgotten gets another one.
 */
import type { UnixMs } from '../../base/clock.ts';
import { encodeBase32 } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import type { KeyHex } from '../protocol/index.ts';
import type { StatedHost } from './read-requests.ts';

/** 15 minutes: what a person needs, and not so long that an old link in a chat is worth anything. */
const LIFE_MS = 15 * 60_000;
const LOGINS_MAX = 1000;
const LOGINS_OF_MACHINE_MAX = 4;
/** 80 bits: the address is told to the device alone, and only an admin can use it. */
const ID_BYTES = 10;

export type LoginOutcome =
  | { readonly type: 'approved' }
  | { readonly type: 'refused'; readonly why: string }
  /** Too late, or pushed out by others: the device asks anew. */
  | { readonly type: 'forgotten' };

export interface PendingLogin {
  readonly id: string;
  readonly machineKey: KeyHex;
  readonly nodeKey: KeyHex;
  readonly oldNodeKey: KeyHex | null;
  readonly host: StatedHost | null;
  readonly capabilityVersion: number;
  readonly isEphemeral: boolean;
  /** The tailnet that it must be; null: whichever the admin says. */
  readonly tailnet: string | null;
  readonly createdAt: UnixMs;
  readonly outcome: Promise<LoginOutcome>;
  settle(outcome: LoginOutcome): void;
}

export type LoginQuestion = Omit<PendingLogin, 'id' | 'createdAt' | 'outcome' | 'settle'>;

const FORGOTTEN: LoginOutcome = { type: 'forgotten' };

export class PendingLogins {
  readonly #random: Random;
  /** Oldest first. */
  readonly #byId = new Map<string, PendingLogin>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The login of these keys: the one under way, or a new one. */
  begin(question: LoginQuestion, now: UnixMs): PendingLogin {
    const ofMachine = this.list().filter(({ machineKey }) => machineKey === question.machineKey);
    const known = ofMachine.find(
      ({ nodeKey, tailnet }) => nodeKey === question.nodeKey && tailnet === question.tailnet,
    );
    if (known !== undefined) return known;
    if (ofMachine.length >= LOGINS_OF_MACHINE_MAX) ofMachine[0]?.settle(FORGOTTEN);
    if (this.#byId.size >= LOGINS_MAX) this.list()[0]?.settle(FORGOTTEN);
    const { promise, resolve } = Promise.withResolvers<LoginOutcome>();
    const id = encodeBase32(this.#random.bytes(ID_BYTES));
    const login: PendingLogin = {
      ...question,
      id,
      createdAt: now,
      outcome: promise,
      settle: (outcome) => {
        this.#byId.delete(id);
        resolve(outcome);
      },
    };
    this.#byId.set(id, login);
    return login;
  }

  get(id: string): PendingLogin | null {
    return this.#byId.get(id) ?? null;
  }

  list(): readonly PendingLogin[] {
    return [...this.#byId.values()];
  }

  pass(now: UnixMs): void {
    for (const login of this.#byId.values()) {
      if (login.createdAt + LIFE_MS > now) return;
      login.settle(FORGOTTEN);
    }
  }
}
