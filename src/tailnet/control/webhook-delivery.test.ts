/** Deliveries of webhooks: signed, tried again, bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../base/log.ts';
import { Secret } from '../../base/secret.ts';
import { hmacSha256 } from '../../crypto/index.ts';
import type { WebhookRecord } from './records.ts';
import { WebhookDelivery } from './webhook-delivery.ts';
import type { WebhookEvent } from './webhook-events.ts';

const NOW = 1_800_000_000_500;
const SECRET = new Secret('pstw_secret');
const HOOK: WebhookRecord = {
  id: 'wh_1',
  tailnet: 'tn_1',
  url: 'https://example.com/hook?key=hidden',
  format: '',
  events: ['nodeCreated'],
  generation: 1,
  createdAt: NOW,
  changedAt: NOW,
  createdBy: 'test',
};
const EVENT: WebhookEvent = {
  timestamp: new Date(NOW).toISOString(),
  version: 1,
  type: 'nodeCreated',
  tailnet: 'work.test.internal',
  message: 'Node a.work.test.internal: created',
  data: { nodeID: 'n1CNTRL' },
};

interface Sent {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Timers run when the test says so. */
function setUp(answer: () => Promise<{ readonly status: number }>) {
  const sent: Sent[] = [];
  const waits: { readonly delayMs: number; readonly run: () => void }[] = [];
  let log = '';
  const delivery = new WebhookDelivery({
    fetch(url, { headers, body }) {
      sent.push({ url, headers, body });
      return answer();
    },
    after(delayMs, run) {
      const wait = { delayMs, run };
      waits.push(wait);
      return () => void waits.splice(waits.indexOf(wait), 1);
    },
    clock: { now: () => NOW, monotonicMs: () => NOW },
    logger: createLogger({ format: 'text', write: (line) => (log += line), now: () => NOW }),
  });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
  };
  return { delivery, sent, waits, settle, log: () => log };
}

test('a delivery is a list of events, signed over time and body as Tailscale documents it', async () => {
  const { delivery, sent, settle, waits } = setUp(() => Promise.resolve({ status: 204 }));
  delivery.send(HOOK, SECRET, EVENT);
  await settle();
  const [first] = sent;
  assert.deepEqual(JSON.parse(first?.body ?? ''), [EVENT]);
  const [, time = '', mac = ''] =
    /^t=(\d+),v1=([0-9a-f]{64})$/.exec(first?.headers['tailscale-webhook-signature'] ?? '') ?? [];
  assert.equal(time, '1800000000');
  const expected = hmacSha256(Buffer.from('pstw_secret'), `${time}.${first?.body ?? ''}`);
  assert.equal(mac, Buffer.from(expected).toString('hex'));
  assert.equal(waits.length, 0, 'what was taken is not sent again');
});

test('chats get a text', async () => {
  const { delivery, sent, settle } = setUp(() => Promise.resolve({ status: 200 }));
  delivery.send({ ...HOOK, format: 'slack' }, SECRET, EVENT);
  delivery.send({ ...HOOK, format: 'discord' }, SECRET, EVENT);
  await settle();
  const text = 'work.test.internal: Node a.work.test.internal: created';
  assert.deepEqual(
    sent.map(({ body }) => JSON.parse(body)),
    [{ text }, { content: text }],
  );
});

test('a refused or failed delivery is tried again after growing pauses, then given up in the log without its address', async () => {
  let count = 0;
  const { delivery, sent, settle, waits, log } = setUp(() => {
    count += 1;
    return count % 2 === 0 ? Promise.reject(new Error('no route')) : Promise.resolve({ status: 302 });
  });
  delivery.send(HOOK, SECRET, EVENT);
  const pauses: number[] = [];
  for (let i = 0; i < 10; i += 1) {
    await settle();
    const wait = waits.shift();
    if (wait === undefined) break;
    pauses.push(wait.delayMs);
    wait.run();
  }
  assert.deepEqual(pauses, [2_000, 10_000, 60_000, 300_000, 1_800_000]);
  assert.equal(sent.length, 6);
  assert.match(log(), /a webhook was not told of an event.*wh_1/);
  assert.doesNotMatch(log(), /hidden/);
});

test('at most 200 events of a tailnet wait; those of another go their way', async () => {
  const { delivery, sent, settle, log } = setUp(() => new Promise(() => undefined));
  for (let i = 0; i < 201; i += 1) delivery.send(HOOK, SECRET, EVENT);
  await settle();
  assert.equal(sent.length, 200);
  assert.match(log(), /too many events of this tailnet/);
  delivery.send({ ...HOOK, tailnet: 'tn_2' }, SECRET, EVENT);
  await settle();
  assert.equal(sent.length, 201);
});

test('after the end nothing is sent, and what waited is forgotten', async () => {
  const { delivery, sent, settle, waits } = setUp(() => Promise.resolve({ status: 500 }));
  delivery.send(HOOK, SECRET, EVENT);
  await settle();
  assert.equal(waits.length, 1);
  delivery.close();
  delivery.send(HOOK, SECRET, EVENT);
  await settle();
  assert.deepEqual([waits.length, sent.length], [0, 1]);
});
