/**
 * Delivers events to webhooks: at once, and again with growing pauses where that fails. Nothing waits for it.
 *
 * `Tailscale-Webhook-Signature: t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA-256 under the webhook's secret over
 * `<t>.<body>` (Tailscale's documentation, "Webhooks", "Verifying an event signature").
 */
import type { Clock } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Secret } from '../../base/secret.ts';
import { hmacSha256 } from '../../crypto/index.ts';
import type { WebhookRecord } from './records.ts';
import type { WebhookEvent } from './webhook-events.ts';

export interface WebhookDeliveryOptions {
  /** By the guarded dialer; rejects where it does not come to an answer. */
  readonly fetch: (
    url: string,
    options: {
      readonly method: 'POST';
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
      readonly maxBytes: number;
      readonly timeoutMs: number;
    },
  ) => Promise<{ readonly status: number }>;
  /** Runs once; the function returned cancels it. */
  readonly after: (delayMs: number, run: () => void) => () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Before the second and each further attempt. */
const PAUSES_MS = [2_000, 10_000, 60_000, 300_000, 1_800_000] as const;
/** Under way or waiting for another attempt, of one tailnet: its flood delays nobody else's. */
const OPEN_MAX = 200;
const ANSWER_MAX_BYTES = 16 * 1024;
const ANSWER_TIMEOUT_MS = 10_000;

interface Parcel {
  readonly webhook: WebhookRecord;
  readonly secret: Secret;
  readonly body: string;
  readonly type: string;
}

export class WebhookDelivery {
  readonly #options: WebhookDeliveryOptions;
  /** By tailnet. */
  readonly #open = new Map<string, number>();
  readonly #waits = new Set<() => void>();
  #isClosed = false;

  constructor(options: WebhookDeliveryOptions) {
    this.#options = options;
  }

  send(webhook: WebhookRecord, secret: Secret, event: WebhookEvent): void {
    if (this.#isClosed) return;
    const parcel = { webhook, secret, body: bodyOf(webhook, event), type: event.type };
    const open = this.#open.get(webhook.tailnet) ?? 0;
    if (open >= OPEN_MAX) {
      this.#giveUp(parcel, 'too many events of this tailnet wait to be delivered');
      return;
    }
    this.#open.set(webhook.tailnet, open + 1);
    void this.#attempt(parcel, 0);
  }

  /** Forgets what was not delivered yet. */
  close(): void {
    this.#isClosed = true;
    for (const stop of this.#waits) stop();
    this.#waits.clear();
  }

  async #attempt(parcel: Parcel, failures: number): Promise<void> {
    let fault = '';
    try {
      const { status } = await this.#post(parcel);
      if (status >= 200 && status < 300) return this.#end(parcel);
      fault = `the receiver answered with status ${status}`;
    } catch (error) {
      fault = describeError(error);
    }
    const pauseMs = PAUSES_MS[failures];
    if (this.#isClosed) return;
    if (pauseMs === undefined) {
      this.#end(parcel);
      this.#giveUp(parcel, fault);
      return;
    }
    const stop = this.#options.after(pauseMs, () => {
      this.#waits.delete(stop);
      void this.#attempt(parcel, failures + 1);
    });
    this.#waits.add(stop);
  }

  #post({ webhook, secret, body }: Parcel): Promise<{ readonly status: number }> {
    const seconds = Math.floor(this.#options.clock.now() / 1000);
    const mac = hmacSha256(Buffer.from(secret.reveal(), 'utf8'), `${seconds}.${body}`);
    return this.#options.fetch(webhook.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'tailscale-webhook-signature': `t=${seconds},v1=${Buffer.from(mac).toString('hex')}`,
      },
      body,
      maxBytes: ANSWER_MAX_BYTES,
      timeoutMs: ANSWER_TIMEOUT_MS,
    });
  }

  #end({ webhook: { tailnet } }: Parcel): void {
    const open = (this.#open.get(tailnet) ?? 1) - 1;
    if (open === 0) this.#open.delete(tailnet);
    else this.#open.set(tailnet, open);
  }

  /** Without the address, which may be a secret by itself. */
  #giveUp({ webhook, type }: Parcel, error: string): void {
    this.#options.logger.warn('a webhook was not told of an event', {
      webhook: webhook.id,
      event: type,
      error,
    });
  }
}

/** Chats take a text; others a list of events, as Tailscale sends it. */
function bodyOf({ format }: WebhookRecord, event: WebhookEvent): string {
  if (format === '') return JSON.stringify([event]);
  const text = `${event.tailnet}: ${event.message}`.slice(0, 1900);
  return JSON.stringify(format === 'discord' ? { content: text } : { text });
}
