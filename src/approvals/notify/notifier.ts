/**
 * Delivers notices to webhooks, Slack-compatible channels and mail: at once, and again with growing
 * pauses where that fails. What cannot be delivered goes to a bounded list for the operator. A notice
 * is help, not part of deciding: nothing waits for it.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { AppError, describeError } from '../../base/errors.ts';
import { newId } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Secret } from '../../base/secret.ts';
import type { FetchSmall } from '../../net/fetch-small.ts';
import type { NotifyTarget } from '../../policy/governance.ts';
import type { NoticeSender, Timers } from '../ports.ts';
import { slackMessage, webhookMessage } from './http-messages.ts';
import type { Mailer } from './mail.ts';
import type { Notice } from './notice.ts';

export interface NotifierOptions {
  /** By the guarded dialer. */
  readonly fetchSmall: FetchSmall;
  /** Null: the operator's settings name no mail server. */
  readonly mailer: Mailer | null;
  /** The secret that a webhook is signed with, by its name in the vault; null if there is none. */
  readonly secretOf: (name: string) => Secret | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Pauses before the second and each further attempt. Default 2 s, 10 s, 1 min, 5 min. */
  readonly pausesMs?: readonly number[];
}

/** A notice that was given up. It holds no address, which may be a secret by itself. */
export interface DeadLetter {
  readonly id: string;
  readonly at: UnixMs;
  readonly event: string;
  /** `webhook https://host`, `slack https://host` or `mail`. */
  readonly target: string;
  readonly attempts: number;
  readonly error: string;
}

export interface Notifier extends NoticeSender {
  /** The last 100, newest last. */
  deadLetters(): readonly DeadLetter[];
  /** Forgets what was not delivered yet. */
  close(): void;
}

const DEFAULT_PAUSES_MS = [2_000, 10_000, 60_000, 300_000] as const;
/** Deliveries under way or waiting for their next attempt; what comes on top is given up at once. */
const OPEN_MAX = 1_000;
const DEAD_MAX = 100;
/** A receiver answers with nothing of interest. */
const ANSWER_MAX_BYTES = 16 * 1024;
const ANSWER_TIMEOUT_MS = 10_000;

interface Parcel {
  readonly id: string;
  readonly target: NotifyTarget;
  readonly notice: Notice;
  attempt: number;
}

/** A failure that another attempt will not mend. */
class Undeliverable extends Error {}

export function createNotifier(options: NotifierOptions): Notifier {
  return new RetryingNotifier(options);
}

class RetryingNotifier implements Notifier {
  readonly #options: NotifierOptions;
  readonly #pausesMs: readonly number[];
  readonly #dead: DeadLetter[] = [];
  readonly #waits = new Set<() => void>();
  #open = 0;
  #delivered = 0;
  #failed = 0;
  #closed = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#pausesMs = options.pausesMs ?? DEFAULT_PAUSES_MS;
  }

  send(targets: readonly NotifyTarget[], notice: Notice): void {
    if (this.#closed) return;
    for (const target of targets) {
      const id = newId('ntf', this.#options.clock, this.#options.random);
      const parcel: Parcel = { id, target, notice, attempt: 1 };
      if (this.#open >= OPEN_MAX) {
        this.#giveUp(parcel, 'too many notices wait to be delivered');
        continue;
      }
      this.#open += 1;
      void this.#attempt(parcel);
    }
  }

  stats(): { readonly delivered: number; readonly failed: number } {
    return { delivered: this.#delivered, failed: this.#failed };
  }

  deadLetters(): readonly DeadLetter[] {
    return [...this.#dead];
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#waits) stop();
    this.#waits.clear();
  }

  async #attempt(parcel: Parcel): Promise<void> {
    try {
      await this.#deliver(parcel);
      this.#delivered += 1;
      this.#open -= 1;
    } catch (error) {
      const pauseMs = this.#pausesMs[parcel.attempt - 1];
      if (this.#closed || pauseMs === undefined || error instanceof Undeliverable) {
        this.#open -= 1;
        this.#giveUp(parcel, safeText(error), describeError(error));
        return;
      }
      parcel.attempt += 1;
      this.#later(pauseMs, () => void this.#attempt(parcel));
    }
  }

  /** Spread by a fifth, so that many that failed together do not return together. */
  #later(pauseMs: number, run: () => void): void {
    const [byte = 0] = this.#options.random.bytes(1);
    const stop = this.#options.timers.after(pauseMs * (1 + byte / 1_280), () => {
      this.#waits.delete(stop);
      run();
    });
    this.#waits.add(stop);
  }

  async #deliver({ id, target, notice, attempt }: Parcel): Promise<void> {
    if (target.kind === 'mail') {
      if (this.#options.mailer === null)
        throw new Undeliverable('the operator set no mail server: add "mail" to the settings file');
      await this.#options.mailer.send(target.to, notice, id);
      return;
    }
    const message =
      target.kind === 'slack'
        ? slackMessage(notice)
        : webhookMessage(
            notice,
            { id, attempt, now: this.#options.clock.now() },
            this.#secretOf(target.secretName),
          );
    const { status } = await this.#options.fetchSmall(target.url, {
      method: 'POST',
      ...message,
      maxBytes: ANSWER_MAX_BYTES,
      timeoutMs: ANSWER_TIMEOUT_MS,
    });
    if (status >= 200 && status < 300) return;
    const text = `the receiver answered with status ${status}`;
    // 408, 425 and 429 ask for patience; other 4xx and redirects stay what they are.
    const mayPass = status >= 500 || status === 408 || status === 425 || status === 429;
    throw mayPass ? new Error(text) : new Undeliverable(text);
  }

  /** What was to be signed is not sent unsigned. */
  #secretOf(name: string | null): Secret | null {
    if (name === null) return null;
    const secret = this.#options.secretOf(name);
    if (secret === null)
      throw new Undeliverable(`there is no secret "${name}" to sign with: add it to the vault`);
    return secret;
  }

  #giveUp({ id, target, notice, attempt }: Parcel, error: string, detail = error): void {
    this.#failed += 1;
    const letter: DeadLetter = {
      id,
      at: this.#options.clock.now(),
      event: notice.event,
      target: targetText(target),
      attempts: attempt,
      error,
    };
    this.#dead.push(letter);
    if (this.#dead.length > DEAD_MAX) this.#dead.shift();
    this.#options.logger.warn('a notice was not delivered', {
      notice: id,
      event: notice.event,
      target: letter.target,
      attempts: attempt,
      error: detail,
    });
  }
}

/** Without the path, which is the secret of a Slack webhook. */
function targetText(target: NotifyTarget): string {
  if (target.kind === 'mail') return 'mail';
  return `${target.kind} ${URL.parse(target.url)?.origin ?? 'address'}`;
}

function safeText(error: unknown): string {
  if (error instanceof AppError || error instanceof Error) return error.message;
  return 'it could not be sent';
}
