/** Callers that are slow, or leave, in every phase of an exchange: recorded for what it was, nothing kept. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startPostern as startProcess } from '../postern-process.ts';
import { modelThat, startFakeUpstream } from '../upstream/index.ts';
import { documentFor, PROVIDER_ENV, startScene, type Scene } from './fake-providers.ts';
import { suiteEnd } from './harness.ts';
import { untilIdle } from './load.ts';
import { connectRaw, type RawConnection, requestHead, statusOf, wholeRequest } from './raw-client.ts';

const JSON_TYPE = 'Content-Type: application/json';
const MESSAGES = [{ role: 'user', content: 'hello' }];
const TIMEOUTS = { headersMs: 300, requestMs: 1000, firstByteMs: 1000, idleMs: 1000 };
/** The longest that a limit of 1 s may take, timers of 500 ms and a loaded machine included. */
const SOON_MS = 4000;

type Row = Record<string, unknown>;

describe('callers that leave', { timeout: 120_000 }, () => {
  const suite = suiteEnd();
  let scene: Scene;
  before(async () => {
    scene = await startScene(suite, { settings: { timeouts: TIMEOUTS } });
  });
  after(() => suite.end());

  /** Rows of requests that carry this session label. */
  const rowsOf = async (session: string, count: number): Promise<readonly Row[]> => {
    const deadline = Date.now() + 5000;
    for (;;) {
      const rows = await scene.postern.requests(0);
      const mine = rows.filter((row) => row['session_id'] === session);
      if (mine.length >= count) return mine;
      if (Date.now() > deadline)
        assert.fail(`no ${count} rows of ${session}: ${JSON.stringify(rows.slice(0, 3))}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  };

  const chat = (session: string, model: string, stream: boolean): Buffer =>
    wholeRequest(scene.postern.url, JSON.stringify({ model, messages: MESSAGES, stream }), {
      headers: [`x-postern-session: ${session}`],
    });

  test('a caller that sends nothing, or half a head, gets a 408 in time (slow-loris)', async (t) => {
    for (const bytes of ['', 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ']) {
      const connection = await connectRaw(t, scene.postern.url);
      if (bytes !== '') await connection.send(bytes);
      assert.equal(statusOf(await connection.closed(SOON_MS)), 408, bytes);
    }
    await untilIdle(scene.postern);
  });

  test('a body that trickles gets a 408 in time and is recorded as incomplete', async (t) => {
    const connection = await connectRaw(t, scene.postern.url);
    await connection.send(requestHead(scene.postern.url, { headers: [JSON_TYPE, 'Content-Length: 1000'] }));
    const trickle = setInterval(() => void connection.send(' '), 50);
    t.after(() => clearInterval(trickle));
    assert.equal(statusOf(await connection.closed(SOON_MS)), 408);
    clearInterval(trickle);
    const rows = await scene.postern.requests(1);
    assert.deepEqual([rows[0]?.['outcome'], rows[0]?.['reason']], ['client_abort', 'body_incomplete']);
    await untilIdle(scene.postern);
  });

  test('a caller that leaves before, in and after the head holds nothing', async (t) => {
    const { url } = scene.postern;
    const whole = chat('left-early', 'gpt-5', false);
    for (const length of [0, 1, 20, 60, whole.indexOf('\r\n\r\n') + 4, whole.length - 1]) {
      for (const leave of ['destroy', 'resetAndDestroy'] as const) {
        const connection = await connectRaw(t, url);
        await connection.send(whole.subarray(0, length));
        connection.socket[leave]();
      }
    }
    await untilIdle(scene.postern);
  });

  test('a caller that leaves in its body is recorded, and its bytes are given back', async (t) => {
    const { url } = scene.postern;
    const earlier = (await scene.postern.requests(0)).length;
    const connection = await connectRaw(t, url);
    await connection.send(requestHead(url, { headers: [JSON_TYPE, 'Content-Length: 900000'] }));
    await connection.send(Buffer.alloc(500_000, 32));
    const held = async (): Promise<boolean> =>
      /body_bytes_held [1-9]/.test((await scene.postern.call('/metrics')).text);
    const deadline = Date.now() + 5000;
    while (!(await held())) assert.ok(Date.now() < deadline, 'the body is being held');
    connection.socket.destroy();
    await untilIdle(scene.postern);
    const rows = await scene.postern.requests(earlier + 1);
    assert.deepEqual(
      [rows[0]?.['outcome'], rows[0]?.['status'], rows[0]?.['cost_nano_usd']],
      ['client_abort', 0, 0],
    );
  });

  test('a caller that leaves before the answer, or in it, stops the provider and is charged as an estimate', async (t) => {
    const phases = [
      { session: 'before-answer', behaviours: ['hang-before-headers'], until: null },
      { session: 'mid-answer', behaviours: ['slow', 'long'], until: 'data:' },
    ] as const;
    for (const { session, behaviours, until } of phases) {
      scene.upstream.reset();
      const connection = await connectRaw(t, scene.postern.url);
      await connection.send(chat(session, modelThat('gpt-5', ...behaviours), true));
      const deadline = Date.now() + 5000;
      while (scene.upstream.requests.length === 0) {
        assert.ok(Date.now() < deadline, 'the request reaches the provider');
        await new Promise((resolve) => {
          setTimeout(resolve, 5);
        });
      }
      if (until !== null) await connection.until((text) => text.includes(until));
      connection.socket.destroy();
      const [received] = await scene.upstream.settled(1);
      assert.equal(received?.outcome, 'aborted', session);
      const [row] = await rowsOf(session, 1);
      assert.deepEqual([row?.['outcome'], row?.['estimated']], ['client_abort', true], session);
      await untilIdle(scene.postern);
    }
  });

  test('a caller that shuts its side in the answer leaves a true record, whichever end is chosen', async (t) => {
    const connection = await connectRaw(t, scene.postern.url);
    await connection.send(chat('half-closed', modelThat('gpt-5', 'slow'), true));
    await connection.until((text) => text.includes('data:'));
    connection.socket.end();
    const text = await connection.closed();
    const [row] = await rowsOf('half-closed', 1);
    assert.equal(row?.['outcome'], text.includes('[DONE]') ? 'ok' : 'client_abort');
    await untilIdle(scene.postern);
  });

  test('a reader that stops reading holds back the provider and is cut after the idle time', async (t) => {
    scene.upstream.reset();
    const connection = await connectRaw(t, scene.postern.url);
    connection.socket.pause();
    await connection.send(chat('slow-reader', modelThat('gpt-5', 'huge', 'coalesced'), true));
    await scene.upstream.settled(1);
    const [row] = await rowsOf('slow-reader', 1);
    assert.deepEqual([row?.['outcome'], row?.['reason']], ['client_abort', 'reader_too_slow']);
    assert.ok(
      Number(row?.['response_bytes']) < 8 * 1024 * 1024,
      `${String(row?.['response_bytes'])} bytes were taken`,
    );
    assert.equal(scene.upstream.requests[0]?.outcome, 'aborted');
    await untilIdle(scene.postern);
  });

  test('a slow reader that goes on reading gets every byte', async (t) => {
    scene.upstream.reset();
    const connection = await connectRaw(t, scene.postern.url);
    const toggle = setInterval(() => {
      if (connection.socket.isPaused()) connection.socket.resume();
      else connection.socket.pause();
    }, 20);
    t.after(() => clearInterval(toggle));
    const body = JSON.stringify({
      model: modelThat('gpt-5', 'huge', 'coalesced'),
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });
    const headers = ['x-postern-session: slow-but-sure'];
    await connection.send(wholeRequest(scene.postern.url, body, { headers }));
    await connection.until((text) => text.endsWith('0\r\n\r\n'), 60_000);
    clearInterval(toggle);
    const [row] = await rowsOf('slow-but-sure', 1);
    assert.equal(row?.['outcome'], 'ok');
    const sent = (scene.upstream.requests[0]?.sent ?? []).reduce((sum, piece) => sum + piece.length, 0);
    assert.equal(row?.['response_bytes'], sent);
    await untilIdle(scene.postern);
  });
});

test('streams that nobody reads are bounded in memory: 60 of 8 MiB hold less than 2 MiB each (DESIGN section 11)', async (t) => {
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const postern = await startProcess({
    document: documentFor(upstream.url, { capability: { capture: 'metadata' } }),
    env: PROVIDER_ENV,
  });
  t.after(() => postern.stop());
  const body = JSON.stringify({
    model: modelThat('gpt-5', 'huge', 'coalesced'),
    messages: MESSAGES,
    stream: true,
  });
  const connections: RawConnection[] = [];
  const ask = async (): Promise<void> => {
    const connection = await connectRaw(t, postern.url);
    connections.push(connection);
    connection.socket.pause();
    await connection.send(wholeRequest(postern.url, body));
  };
  await ask();
  const before = await untilSteady(() => residentMiB(postern.pid));
  // So many that what waits for the collector, some 50 MiB, does not decide.
  for (let count = 0; count < 60; count += 1) await ask();
  const after = await untilSteady(() => residentMiB(postern.pid));
  for (const { socket } of connections) socket.destroy();
  t.diagnostic(`resident: ${before.toFixed(0)} MiB with one unread stream, ${after.toFixed(0)} MiB with 61`);
  assert.ok(after - before < 120, `grew by ${(after - before).toFixed(1)} MiB`);
});

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

/** The figure once it moves by less than 1 MiB in half a second; at most 10 s. */
async function untilSteady(figure: () => Promise<number>): Promise<number> {
  let last = await figure();
  for (let looks = 0; looks < 20; looks += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    const next = await figure();
    if (Math.abs(next - last) < 1) return next;
    last = next;
  }
  return last;
}
