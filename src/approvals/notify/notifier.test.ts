import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import type { AddressInfo } from 'node:net';
import { AppError } from '../../base/errors.ts';
import { silentLogger } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { Secret } from '../../base/secret.ts';
import { createDialer, createFetchSmall, createUpstreams } from '../../net/index.ts';
import type { NotifyTarget } from '../../policy/governance.ts';
import type { Timers } from '../ports.ts';
import { settled, testTime } from '../test-approvals.ts';
import type { Mailer } from './mail.ts';
import type { Notice } from './notice.ts';
import { createNotifier, type Notifier, type NotifierOptions } from './notifier.ts';

const NOTICE: Notice = {
  event: 'approval.requested',
  title: 'alice asks for the tool <!channel> & *Bash*',
  lines: ['Who: alice', 'What: {"command":"ls"}'],
  link: { url: 'http://localhost:8080/approvals/apr_1', text: 'Look at it' },
  data: { id: 'apr_1' },
};
const SECRET = 'whsec-of-the-receiver';

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface World {
  readonly received: Received[];
  readonly url: string;
  readonly time: ReturnType<typeof testTime>;
  readonly notifier: Notifier;
}

/** A receiver over real HTTP that answers with these statuses, then with 200; the dialer may reach it unless told. */
async function withReceiver(
  statuses: readonly number[],
  check: (world: World) => Promise<void>,
  more: Partial<NotifierOptions> & { readonly isAllowed?: boolean } = {},
): Promise<void> {
  const { isAllowed = true, ...options } = more;
  const received: Received[] = [];
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += String(chunk);
    const status = statuses[received.length] ?? 200;
    received.push({ headers: req.headers, body });
    res.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const dialer = createDialer({
    allow: [],
    exact: isAllowed ? [{ address: '127.0.0.1', port }] : [],
    ownAddresses: () => [],
  });
  const upstreams = createUpstreams({ dialer });
  const time = testTime();
  const notifier = createNotifier({
    fetchSmall: createFetchSmall(upstreams),
    mailer: null,
    secretOf: (name) => (name === 'hook' ? new Secret(SECRET) : null),
    clock: time.clock,
    random: systemRandom,
    timers: time.timers,
    logger: silentLogger,
    ...options,
  });
  try {
    await check({ received, url: `http://127.0.0.1:${port}/in?x=1`, time, notifier });
  } finally {
    notifier.close();
    await upstreams.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Waits for what real sockets do; the test's own time limit ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await settled();
}

describe('webhooks', () => {
  test('are signed with a timestamp; a receiver that is not ours verifies it', async () => {
    await withReceiver([], async ({ received, url, notifier }) => {
      notifier.send([{ kind: 'webhook', url, secretName: 'hook' }], NOTICE);
      await until(() => notifier.stats().delivered === 1);
      const [request] = received;
      assert.ok(request !== undefined);
      const match = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['x-postern-signature']));
      const mac = createHmac('sha256', SECRET).update(`${match?.[1]}.${request.body}`).digest();
      assert.ok(timingSafeEqual(mac, Buffer.from(match?.[2] ?? '', 'hex')));
      assert.equal(request.headers['x-postern-event'], 'approval.requested');
      assert.deepEqual(JSON.parse(request.body).data, { id: 'apr_1' });
    });
  });

  test('are unsigned where the document names no secret, and not sent where the named one is missing', async () => {
    await withReceiver([], async ({ received, url, notifier }) => {
      notifier.send([{ kind: 'webhook', url, secretName: 'gone' }], NOTICE);
      notifier.send([{ kind: 'webhook', url, secretName: null }], NOTICE);
      await until(() => notifier.stats().delivered === 1 && notifier.stats().failed === 1);
      assert.equal(received.length, 1);
      assert.equal(received[0]?.headers['x-postern-signature'], undefined);
      assert.match(notifier.deadLetters()[0]?.error ?? '', /no secret "gone"/);
    });
  });

  test('are tried again with growing pauses, as the same delivery, and then given up', async () => {
    const pausesMs: number[] = [];
    const given = testTime();
    const timers: Timers = {
      ...given.timers,
      after(delayMs, run) {
        pausesMs.push(delayMs);
        return given.timers.after(0, run);
      },
    };
    await withReceiver(
      [503, 429, 500, 500],
      async ({ received, url, notifier }) => {
        notifier.send([{ kind: 'webhook', url, secretName: null }], NOTICE);
        await until(() => {
          given.advance(1);
          return notifier.stats().delivered === 1;
        });
        const ids = received.map(({ headers }) => headers['x-postern-delivery']);
        assert.equal(new Set(ids).size, 1);
        assert.deepEqual(
          received.map(({ headers }) => headers['x-postern-attempt']),
          ['1', '2', '3', '4', '5'],
        );
      },
      { timers },
    );
    for (const [i, leastMs] of [2_000, 10_000, 60_000, 300_000].entries()) {
      const pauseMs = pausesMs[i] ?? 0;
      assert.ok(pauseMs >= leastMs && pauseMs <= leastMs * 1.2, `${pauseMs}`);
    }
    assert.equal(pausesMs.length, 4);
  });

  test('are given up after the last attempt', async () => {
    await withReceiver(
      [500, 500],
      async ({ url, time, notifier }) => {
        notifier.send([{ kind: 'webhook', url, secretName: null }], NOTICE);
        await until(() => {
          time.advance(10);
          return notifier.stats().failed === 1;
        });
        assert.equal(notifier.deadLetters()[0]?.attempts, 2);
      },
      { pausesMs: [1] },
    );
  });

  test('that are refused for good, or redirect, are given up at once; dead letters tell no path', async () => {
    for (const status of [400, 404, 410, 302]) {
      await withReceiver([status], async ({ received, url, notifier }) => {
        notifier.send([{ kind: 'slack', url }], NOTICE);
        await until(() => notifier.stats().failed === 1);
        assert.equal(received.length, 1);
        const [letter] = notifier.deadLetters();
        assert.match(letter?.target ?? '', /^slack http:\/\/127\.0\.0\.1:\d+$/);
        assert.equal(letter?.attempts, 1);
      });
    }
  });

  test('leave through the guarded dialer: an address that the operator did not allow is not reached', async () => {
    await withReceiver(
      [],
      async ({ received, url, notifier }) => {
        notifier.send([{ kind: 'webhook', url, secretName: null }], NOTICE);
        await until(() => notifier.stats().failed === 1);
        assert.equal(received.length, 0);
      },
      { isAllowed: false, pausesMs: [] },
    );
  });
});

describe('Slack-compatible messages', () => {
  test('have text and a link button; what strangers wrote is no mention, link or format', async () => {
    await withReceiver([], async ({ received, url, notifier }) => {
      notifier.send([{ kind: 'slack', url }], NOTICE);
      await until(() => received.length === 1);
      const message = JSON.parse(received[0]?.body ?? '{}');
      assert.match(message.text, /&lt;!channel&gt; &amp; /);
      assert.ok(!message.text.includes('<!channel>') && !message.text.includes(' *Bash*'));
      assert.equal(message.blocks[1].elements[0].url, NOTICE.link?.url);
      assert.equal(message.blocks[0].text.type, 'mrkdwn');
    });
  });
});

describe('the notifier', () => {
  const mail: NotifyTarget = { kind: 'mail', to: ['a@example.com'] };

  test('sends mail by the operator’s server, and says so where there is none', async () => {
    const sent: unknown[] = [];
    const mailer: Mailer = { send: async (to, { title }) => void sent.push([to, title]) };
    await withReceiver(
      [],
      async ({ notifier }) => {
        notifier.send([mail], NOTICE);
        await until(() => notifier.stats().delivered === 1);
      },
      { mailer },
    );
    assert.deepEqual(sent, [[['a@example.com'], NOTICE.title]]);
    await withReceiver([], async ({ notifier }) => {
      notifier.send([mail], NOTICE);
      await until(() => notifier.stats().failed === 1);
      assert.match(notifier.deadLetters()[0]?.error ?? '', /no mail server/);
    });
  });

  test('is bounded, and keeps the last dead letters only', async () => {
    const mailer: Mailer = { send: () => new Promise(() => undefined) };
    await withReceiver(
      [],
      async ({ notifier }) => {
        for (let i = 0; i < 1_250; i += 1) notifier.send([mail], NOTICE);
        assert.equal(notifier.stats().failed, 250);
        assert.equal(notifier.deadLetters().length, 100);
      },
      { mailer },
    );
  });

  test('forgets what waits as it closes', async () => {
    const mailer: Mailer = { send: () => Promise.reject(new AppError('mail_failed', 'no')) };
    await withReceiver(
      [],
      async ({ notifier, time }) => {
        notifier.send([mail], NOTICE);
        await settled();
        notifier.close();
        time.advance(1_000_000);
        await settled();
        notifier.send([mail], NOTICE);
        assert.deepEqual(notifier.stats(), { delivered: 0, failed: 0 });
      },
      { mailer },
    );
  });
});
