/** A right that is withdrawn ends what uses it within a second; a key that is replaced ends nothing (DESIGN section 5). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { modelThat } from '../upstream/index.ts';
import { addKey, post, startClaimedScene, type ClaimedScene } from './administration.ts';
import { documentFor, startScene } from './fake-providers.ts';
import type { Ending, Postern } from './harness.ts';
import { untilIdle } from './load.ts';
import { connectRaw, requestHead, statusOf, wholeRequest, type RawConnection } from './raw-client.ts';

const CUT_WITHIN_MS = 1000;
const MESSAGES = [{ role: 'user', content: 'hello' }];

interface Stream {
  readonly name: string;
  readonly target: string;
  readonly body: object;
  readonly provider: 'openai' | 'anthropic' | 'gemini';
  readonly headers?: readonly string[];
  /** What only a whole stream ends with. */
  readonly cleanEnd: RegExp;
}

function streamsOf(...behaviours: Parameters<typeof modelThat>[1][]): readonly Stream[] {
  const model = (base: string): string => modelThat(base, ...behaviours);
  return [
    {
      name: 'openai_chat',
      target: '/v1/chat/completions',
      body: { model: model('gpt-5'), messages: MESSAGES, stream: true },
      provider: 'openai',
      cleanEnd: /\[DONE\]/,
    },
    {
      name: 'openai_responses',
      target: '/v1/responses',
      body: { model: model('gpt-5'), input: 'hello', stream: true },
      provider: 'openai',
      cleanEnd: /"type":"response\.completed"/,
    },
    {
      name: 'anthropic_messages',
      target: '/v1/messages',
      body: { model: model('claude-sonnet-4-5'), max_tokens: 9, messages: MESSAGES, stream: true },
      provider: 'anthropic',
      headers: ['anthropic-version: 2023-06-01'],
      cleanEnd: /event: message_stop/,
    },
    {
      name: 'gemini_generate_content',
      target: `/v1beta/models/${model('gemini-2.5-pro')}:streamGenerateContent?alt=sse`,
      body: { contents: [{ role: 'user', parts: [{ text: 'hello' }] }] },
      provider: 'gemini',
      cleanEnd: /"finishReason"/,
    },
  ];
}

/** Streams of 1,024 events with 20 ms between two: far longer than any test. */
const ENDLESS = streamsOf('slow', 'long');
const CHAT = ENDLESS[0] ?? assert.fail();

async function begin(
  t: Ending,
  postern: Postern,
  stream: Stream,
  headers: readonly string[] = [],
): Promise<RawConnection> {
  const connection = await connectRaw(t, postern.url);
  await connection.send(
    wholeRequest(postern.url, JSON.stringify(stream.body), {
      target: stream.target,
      headers: ['Connection: close', ...(stream.headers ?? []), ...headers],
    }),
  );
  const text = await connection.until((received) => received.includes('data:'));
  assert.equal(statusOf(text), 200, text);
  return connection;
}

/** The rest of a stream that must end in time, with the reason in it. */
async function cutWith(connection: RawConnection, stream: Stream, code: string): Promise<void> {
  const from = performance.now();
  const text = await connection.closed(3 * CUT_WITHIN_MS);
  const tookMs = performance.now() - from;
  assert.ok(tookMs < CUT_WITHIN_MS, `${stream.name} ended ${tookMs.toFixed(0)} ms after the withdrawal`);
  const events = text.split('data: ');
  assert.match(events.at(-1) ?? '', /"error"/, stream.name);
  assert.ok(events.at(-1)?.includes(code), `${stream.name}: ${events.at(-1)}`);
  assert.doesNotMatch(text, stream.cleanEnd, stream.name);
}

async function reasonRecorded(postern: Postern, code: string, count: number): Promise<void> {
  const deadline = Date.now() + 5000;
  for (;;) {
    const rows = (await postern.requests(0)).filter((row) => row['reason'] === code);
    if (rows.length >= count) {
      for (const row of rows) assert.equal(row['outcome'], 'gateway_error');
      return;
    }
    assert.ok(Date.now() < deadline, `${rows.length} of ${count} rows with ${code}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

async function mint({
  postern,
  presence,
}: Pick<ClaimedScene, 'postern' | 'presence'>): Promise<{ id: string; header: string }> {
  const minted = await post(postern, '/api/v1/tokens', { name: 'stream', scopes: ['use'] }, presence);
  assert.equal(minted.status, 201, minted.text);
  const { id, token } = minted.json();
  return { id: String(id), header: `X-Postern-Authorization: Bearer ${String(token)}` };
}

test('a revoked token ends its streams within a second in every dialect, and only its own', async (t) => {
  const scene = await startClaimedScene(t);
  const { postern, upstream } = scene;
  const token = await mint(scene);
  const other = await begin(t, postern, CHAT);
  const streams: { stream: Stream; connection: RawConnection }[] = [];
  for (const stream of ENDLESS)
    streams.push({ stream, connection: await begin(t, postern, stream, [token.header]) });
  const revoked = await postern.call(`/api/v1/tokens/${token.id}`, { method: 'DELETE' });
  assert.equal(revoked.status, 204, revoked.text);
  await Promise.all(streams.map(({ stream, connection }) => cutWith(connection, stream, 'access_revoked')));
  await reasonRecorded(postern, 'access_revoked', ENDLESS.length);
  const seen = other.received().length;
  await other.until(() => other.received().length > seen);
  other.socket.destroy();
  assert.equal((await upstream.settled(ENDLESS.length + 1)).length, ENDLESS.length + 1);
  const again = await connectRaw(t, postern.url);
  await again.send(
    wholeRequest(postern.url, JSON.stringify(CHAT.body), { headers: [token.header, 'Connection: close'] }),
  );
  assert.equal(statusOf(await again.closed()), 401);
  await untilIdle(postern);
});

test('a token that is revoked while its body arrives sends nothing to the provider', async (t) => {
  const scene = await startClaimedScene(t);
  const { postern, upstream } = scene;
  const token = await mint(scene);
  const body = JSON.stringify({ ...CHAT.body, stream: false });
  const connection = await connectRaw(t, postern.url);
  const headers = ['Content-Type: application/json', `Content-Length: ${body.length}`, token.header];
  await connection.send(requestHead(postern.url, { headers }) + body.slice(0, 10));
  const deadline = Date.now() + 5000;
  while (!/requests_active [1-9]/.test((await postern.call('/metrics')).text))
    assert.ok(Date.now() < deadline);
  assert.equal((await postern.call(`/api/v1/tokens/${token.id}`, { method: 'DELETE' })).status, 204);
  const text = await connection.closed();
  assert.equal(statusOf(text), 403, text);
  assert.match(text, /access_revoked/);
  assert.equal(upstream.requests.length, 0);
  await untilIdle(postern);
});

test('a revoked provider key ends its streams and waiting requests within a second, and no other key takes over unasked', async (t) => {
  const { postern, presence, keyIds, upstream } = await startClaimedScene(t);
  for (const stream of ENDLESS.filter(({ provider }) => provider !== 'openai')) {
    const connection = await begin(t, postern, stream);
    const revoked = await post(postern, `/api/v1/keys/${keyIds[stream.provider]}/revoke`, {}, presence);
    assert.equal(revoked.status, 200, revoked.text);
    await cutWith(connection, stream, 'key_revoked');
  }
  await reasonRecorded(postern, 'key_revoked', 2);
  const waiting = postern.call('/v1/chat/completions', {
    body: { model: modelThat('gpt-5', 'hang-before-headers'), messages: MESSAGES },
  });
  const deadline = Date.now() + 5000;
  while (!upstream.requests.some(({ outcome }) => outcome === null)) {
    assert.ok(Date.now() < deadline);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  assert.equal((await post(postern, `/api/v1/keys/${keyIds.openai}/revoke`, {}, presence)).status, 200);
  const refused = await waiting;
  assert.deepEqual([refused.status, refused.headers['x-postern-reason']], [503, 'key_revoked']);
  const later = await postern.call('/v1/chat/completions', { body: { model: 'gpt-5', messages: MESSAGES } });
  assert.deepEqual([later.status, later.headers['x-postern-reason']], [503, 'key_missing']);
  await untilIdle(postern);
});

test('a retired key finishes what it began and begins nothing more', async (t) => {
  const { postern, presence, keyIds } = await startClaimedScene(t);
  const [stream] = streamsOf('slow');
  assert.ok(stream);
  const connection = await begin(t, postern, stream);
  const retired = await post(postern, `/api/v1/keys/${keyIds.openai}/retire`, {}, presence);
  assert.equal(retired.status, 200, retired.text);
  assert.match(await connection.closed(), stream.cleanEnd);
  const later = await postern.call('/v1/chat/completions', { body: { model: 'gpt-5', messages: MESSAGES } });
  assert.equal(later.headers['x-postern-reason'], 'key_missing');
});

test('a grant that leaves the watched document ends its streams within a second of the change', async (t) => {
  const { postern, upstream } = await startScene(t);
  const streams: { stream: Stream; connection: RawConnection }[] = [];
  for (const stream of ENDLESS) streams.push({ stream, connection: await begin(t, postern, stream) });
  writeFileSync(
    postern.documentFile,
    JSON.stringify(documentFor(upstream.url, { capability: { models: 'openai/*' } })),
  );
  await Promise.all(
    streams
      .filter(({ stream }) => stream.provider !== 'openai')
      .map(({ stream, connection }) => cutWith(connection, stream, 'access_revoked')),
  );
  for (const { stream, connection } of streams.filter(({ stream: { provider } }) => provider === 'openai')) {
    const seen = connection.received().length;
    await connection.until(() => connection.received().length > seen);
    assert.equal(connection.socket.destroyed, false, stream.name);
    connection.socket.destroy();
  }
  await reasonRecorded(postern, 'access_revoked', 2);
  await untilIdle(postern);
});

test('a rotation under load breaks no request: add staged, promote, retire the old (issue 2, vault)', async (t) => {
  const scene = await startClaimedScene(t, { upstream: { strict: false } });
  const { postern, presence, upstream } = scene;
  const failures: string[] = [];
  const load = { stopped: false, served: 0 };
  const [slow] = streamsOf('slow');
  const client = async (index: number): Promise<void> => {
    while (!load.stopped) {
      const isStream = index % 2 === 0;
      const reply = await postern.call('/v1/chat/completions', {
        body: isStream ? slow?.body : { model: 'gpt-5', messages: MESSAGES },
      });
      const isGood = reply.status === 200 && (!isStream || reply.text.includes('[DONE]'));
      if (!isGood) failures.push(`${reply.status} ${reply.text.slice(0, 200)}`);
      load.served += 1;
    }
  };
  const clients = Array.from({ length: 20 }, (_, index) => client(index));
  const until = async (count: number): Promise<void> => {
    const deadline = Date.now() + 60_000;
    while (load.served < count) {
      assert.ok(Date.now() < deadline, `${load.served} of ${count} were served`);
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    }
  };
  await until(50);
  let current = scene.keyIds.openai;
  for (const round of [1, 2, 3]) {
    const next = await addKey(postern, presence, {
      provider: 'openai',
      secret: `sk-rotated-${round}`,
      state: 'staged',
    });
    await until(load.served + 20);
    assert.equal((await post(postern, `/api/v1/keys/${next}/promote`, {}, presence)).status, 200);
    await until(load.served + 20);
    const keys = (await postern.call('/api/v1/keys')).json()['items'] as { id: string; state: string }[];
    assert.equal(keys.find(({ id }) => id === current)?.state, 'retired');
    current = next;
  }
  upstream.reset();
  await until(load.served + 60);
  load.stopped = true;
  await Promise.all(clients);
  assert.deepEqual(failures, []);
  const used = upstream.requests.slice(-20).map((request) => {
    const at = request.rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization');
    return request.rawHeaders[at + 1];
  });
  assert.deepEqual([...new Set(used)], ['Bearer sk-rotated-3']);
  await untilIdle(postern);
});
