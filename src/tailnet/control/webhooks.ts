/**
 * Webhooks of tailnets: whom to tell of what, and the secret by which a receiver knows who told it. A secret is
 * derived from the server's key, so none is kept; another generation of it is another secret.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { encodeBase32, newId } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import { hmacSha256 } from '../../crypto/index.ts';
import { coordinationError } from './errors.ts';
import type { Ledger } from './ledger.ts';
import type { RecordKind, WebhookRecord } from './records.ts';
import type { Tailnet } from './tailnet.ts';
import {
  TailnetWatch,
  testEvent,
  WEBHOOK_CATEGORY,
  WEBHOOK_EVENTS,
  type WebhookEvent,
} from './webhook-events.ts';

export interface WebhooksOptions {
  readonly ledger: Ledger;
  /** 32 bytes, for the secrets. */
  readonly key: Uint8Array;
  readonly tailnetOf: (id: string) => Tailnet | null;
  readonly clock: Clock;
  readonly random: Random;
}

export type NewWebhook = Pick<WebhookRecord, 'url' | 'format' | 'events' | 'createdBy'>;

/** Sends events to a webhook, sooner or later; must not throw. */
export type WebhookSender = (webhook: WebhookRecord, secret: Secret, event: WebhookEvent) => void;

/** Of one tailnet. */
const WEBHOOKS_MAX = 100;
const URL_MAX_CHARS = 2000;

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #byId = new Map<string, WebhookRecord>();
  /** Of tailnets that have webhooks; nothing is looked at in others. */
  readonly #watches = new Map<string, TailnetWatch>();
  #send: WebhookSender = () => undefined;

  constructor(options: WebhooksOptions, records: readonly WebhookRecord[]) {
    this.#options = options;
    for (const record of records) this.#byId.set(record.id, record);
  }

  /** From now on events are told. Once the tailnets are open. */
  open(send: WebhookSender): void {
    this.#send = send;
    for (const { tailnet } of this.#byId.values()) this.#watch(tailnet);
  }

  list(tailnet: string): readonly WebhookRecord[] {
    return [...this.#byId.values()].filter((webhook) => webhook.tailnet === tailnet);
  }

  /** Null for one of another tailnet, too. */
  get(tailnet: string, id: string): WebhookRecord | null {
    const webhook = this.#byId.get(id);
    return webhook?.tailnet === tailnet ? webhook : null;
  }

  secretOf({ tailnet, id, generation }: WebhookRecord): Secret {
    const mac = hmacSha256(this.#options.key, `${tailnet}\n${id}\n${generation}`);
    return new Secret(`pstw_${encodeBase32(mac)}`);
  }

  /** Durable when it resolves. Throws AppError for an address or an event that is none. */
  async create(tailnet: string, asked: NewWebhook): Promise<WebhookRecord> {
    const { clock, random } = this.#options;
    checkUrl(asked.url);
    checkEvents(asked.events);
    if (this.list(tailnet).length >= WEBHOOKS_MAX)
      throw coordinationError('coordination_limit', `a tailnet has at most ${WEBHOOKS_MAX} webhooks`);
    const now = clock.now();
    const webhook: WebhookRecord = {
      ...asked,
      id: newId('wh', clock, random),
      tailnet,
      generation: 1,
      createdAt: now,
      changedAt: now,
    };
    await this.#put(webhook);
    return webhook;
  }

  async setEvents(webhook: WebhookRecord, events: readonly string[]): Promise<WebhookRecord> {
    checkEvents(events);
    const changed = { ...webhook, events, changedAt: this.#options.clock.now() };
    await this.#put(changed);
    return changed;
  }

  /** The secret of before signs nothing any more. */
  async rotate(webhook: WebhookRecord): Promise<WebhookRecord> {
    const generation = webhook.generation + 1;
    const changed = { ...webhook, generation, changedAt: this.#options.clock.now() };
    await this.#put(changed);
    return changed;
  }

  async remove({ tailnet, id }: WebhookRecord): Promise<void> {
    this.#forget(tailnet, id);
    await this.#options.ledger.durable();
  }

  /** With the tailnet, whose removal the caller makes durable. */
  forget(tailnet: string): void {
    for (const { id } of this.list(tailnet)) this.#forget(tailnet, id);
  }

  /** Sends a test event, whatever the webhook's own are. */
  test(webhook: WebhookRecord, tailnet: Tailnet): void {
    this.#send(webhook, this.secretOf(webhook), testEvent(tailnet, this.#options.clock.now()));
  }

  /** A record was written or removed. */
  look(tailnet: string, kind: RecordKind, name: string): void {
    const watch = this.#watches.get(tailnet);
    if (watch !== undefined) this.#tell(tailnet, watch.look(kind, name, this.#options.clock.now()));
  }

  /** Lets time pass. */
  pass(now: UnixMs): void {
    for (const [tailnet, watch] of this.#watches) this.#tell(tailnet, watch.pass(now));
  }

  #tell(tailnet: string, events: readonly WebhookEvent[]): void {
    if (events.length === 0) return;
    for (const webhook of this.list(tailnet)) {
      const wanted = events.filter(
        ({ type }) => webhook.events.includes(type) || webhook.events.includes(WEBHOOK_CATEGORY),
      );
      for (const event of wanted) this.#send(webhook, this.secretOf(webhook), event);
    }
  }

  #watch(id: string): void {
    const tailnet = this.#options.tailnetOf(id);
    if (tailnet !== null && !this.#watches.has(id))
      this.#watches.set(id, new TailnetWatch(tailnet, this.#options.clock.now()));
  }

  async #put(webhook: WebhookRecord): Promise<void> {
    this.#byId.set(webhook.id, webhook);
    this.#watch(webhook.tailnet);
    this.#options.ledger.put('webhook', webhook.tailnet, webhook.id, webhook);
    await this.#options.ledger.durable();
  }

  #forget(tailnet: string, id: string): void {
    this.#byId.delete(id);
    this.#options.ledger.delete('webhook', tailnet, id);
    if (this.list(tailnet).length === 0) this.#watches.delete(tailnet);
  }
}

/** Where it may lead is the dialer's to know. */
function checkUrl(text: string): void {
  const url = text.length > URL_MAX_CHARS ? null : URL.parse(text);
  const isWeb = url !== null && ['http:', 'https:'].includes(url.protocol);
  if (!isWeb || url.username !== '' || url.password !== '')
    throw coordinationError(
      'coordination_invalid',
      'endpointUrl: is an https address without a user in it, such as https://example.com/hook',
    );
}

function checkEvents(events: readonly string[]): void {
  const known: readonly string[] = [...WEBHOOK_EVENTS, WEBHOOK_CATEGORY];
  const wrong = events.find((event) => !known.includes(event));
  if (wrong !== undefined || events.length === 0)
    throw coordinationError(
      'coordination_invalid',
      `subscriptions: are one or more of ${known.join(', ')}${wrong === undefined ? '' : `; got "${wrong.slice(0, 100)}"`}`,
    );
}
