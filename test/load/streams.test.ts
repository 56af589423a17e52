/**
 * Many streams at once for a minute, some aborted, some read slowly; then every request is accounted for
 * exactly and the memory is back. POSTERN_LOAD_STREAMS and POSTERN_LOAD_SECONDS make it smaller,
 * POSTERN_LOAD_ENTRY runs a build.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type CallEnd, type CallPlan, type Client } from './client.ts';
import type { Observation } from './observe.ts';
import {
  MODEL,
  NANO_USD_PER_INPUT_TOKEN,
  NANO_USD_PER_OUTPUT_TOKEN,
  residentBytes,
  startPostern,
  startUpstream,
  type PosternUnderLoad,
  type Upstream,
} from './processes.ts';
import { waitForRows, type RecordedRow } from './records.ts';
import type { Sent } from './upstream-process.ts';

const STREAMS = Number(process.env['POSTERN_LOAD_STREAMS'] ?? 2000);
const SECONDS = Number(process.env['POSTERN_LOAD_SECONDS'] ?? 60);
/** Live objects that may stay after the load: caches, statistics, compiled code. */
const HEAP_GROWTH_MAX_BYTES = 16 * 1024 * 1024;
/** The base has served as many streams at once before, so that what the allocators keep is in it. */
const RSS_GROWTH_MAX_BYTES = 48 * 1024 * 1024;
/** Memory is given back by timers of seconds (pools, kept connections, idle collection). */
const SETTLE_MAX_MS = 60_000;

let stateDir: string;
let upstream: Upstream;
let postern: PosternUnderLoad;
let client: Client;

before(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'postern-load-'));
  upstream = await startUpstream();
  postern = await startPostern({ stateDir, upstream: upstream.origin, capture: 'full', observed: true });
  client = createClient(postern.port, MODEL);
});

after(async () => {
  client?.close();
  await postern?.stop();
  await upstream?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

test(
  `${STREAMS} streams for ${SECONDS} s, 10 % aborted: exactly one row each, exact usage and cost, memory back (DESIGN sections 7, 8)`,
  { timeout: 400_000 },
  async (t) => {
    const fresh = residentBytes(postern.pid);
    const warm = await warmUp();
    const base = await restingMemory();
    const ends = await load(Date.now() + SECONDS * 1000, 's');
    const underLoad = await postern.observe();
    const rows = await waitForRows(client, ends.length + warm, 60_000);
    const sent: Sent[] = JSON.parse(await askUpstream('/sent'));

    checkEnds(ends);
    checkRows({
      ends,
      rows: rows.filter(({ session_id }) => session_id.startsWith('s')),
      sent: new Map(sent.map((one) => [one.id, one])),
    });
    const settled = await settledMemory(base);
    report(t.diagnostic.bind(t), { fresh, base, underLoad, settled, count: ends.length });
    assert.ok(
      settled.heapBytes - base.heapBytes <= HEAP_GROWTH_MAX_BYTES,
      `the heap kept ${megabytes(settled.heapBytes - base.heapBytes)}`,
    );
    assert.ok(
      settled.rssBytes - base.rssBytes <= RSS_GROWTH_MAX_BYTES,
      `the process kept ${megabytes(settled.rssBytes - base.rssBytes)}`,
    );
    assert.equal(postern.log(), '', 'nothing was worth a warning');
  },
);

/**
 * The same load for a shorter time: code is compiled, pools, caches and the allocators' arenas have their
 * size. The base is that of a process in use, so that what grows from one load to the next is found.
 */
async function warmUp(): Promise<number> {
  const ends = await load(Date.now() + (SECONDS * 1000) / 4, 'w');
  // Reading rows loads what the API needs.
  await waitForRows(client, ends.length, 20_000);
  return ends.length;
}

/** After the wait that every load is given: for pools, kept connections and the idle collection. */
async function restingMemory(): Promise<Observation> {
  client.close();
  await sleep(8000);
  return { ...(await postern.observe()), rssBytes: residentBytes(postern.pid) };
}

/** Of ten calls one leaves midway; of fifty one reads a large answer slowly. Durations differ, so that ends and starts mix. */
function planOf(index: number): CallPlan {
  const isSlow = index % 50 === 25;
  const chunks = isSlow ? 300 : 10 + (index % 20);
  return {
    id: `s${index}`,
    chunks,
    gapMs: isSlow ? 0 : 500,
    chunkBytes: isSlow ? 4096 : 8 + (index % 40),
    stream: true,
    // The end is at least ten events away.
    abortAfterBytes: index % 10 === 0 ? 200 * (1 + (index % 4)) : null,
    readPauseMs: isSlow ? 400 : 0,
  };
}

/** Keeps all places taken until `until`; an ended stream is followed by the next. */
async function load(until: number, letter: 's' | 'w'): Promise<CallEnd[]> {
  const ends: CallEnd[] = [];
  let started = 0;
  const place = async (index: number): Promise<void> => {
    // Spread over two seconds, as callers are: opening all at once measures the accept queue.
    await sleep((index * 2000) / STREAMS);
    while (Date.now() < until) {
      started += 1;
      ends.push(await client.call({ ...planOf(started), id: `${letter}${started}` }));
    }
  };
  await Promise.all(Array.from({ length: STREAMS }, (_, index) => place(index)));
  return ends;
}

function checkEnds(ends: readonly CallEnd[]): void {
  const wrong = ends.filter(
    ({ id, end, status }) =>
      status !== 200 || end !== (planOf(Number(id.slice(1))).abortAfterBytes === null ? 'whole' : 'aborted'),
  );
  assert.deepEqual(
    wrong.slice(0, 5),
    [],
    `${wrong.length} of ${ends.length} calls ended otherwise than planned`,
  );
}

interface Accounts {
  readonly ends: readonly CallEnd[];
  readonly rows: readonly RecordedRow[];
  readonly sent: ReadonlyMap<string, Sent>;
}

function checkRows({ ends, rows, sent }: Accounts): void {
  assert.equal(rows.length, ends.length, 'one row for each request');
  const bySession = new Map(rows.map((row) => [row.session_id, row]));
  assert.equal(bySession.size, ends.length, 'no request has two rows');
  const totals = { recorded: 0, reported: 0, cost: 0, expectedCost: 0 };
  for (const { id, end } of ends) {
    const row = bySession.get(id);
    const real = sent.get(id);
    assert.ok(row !== undefined && real !== undefined, `${id} is known to all`);
    const input = row.usage.input_tokens ?? -1;
    const output = row.usage.output_tokens ?? -1;
    assert.equal(
      row.cost_nano_usd,
      input * NANO_USD_PER_INPUT_TOKEN + output * NANO_USD_PER_OUTPUT_TOKEN,
      `${id}: cost of what is recorded`,
    );
    if (end === 'whole') {
      assert.deepEqual(
        [row.outcome, row.estimated, input, output],
        ['ok', false, real.inputTokens, real.outputTokens],
        id,
      );
      totals.recorded += input + output;
      totals.reported += real.inputTokens + real.outputTokens;
    } else {
      assert.deepEqual([row.outcome, row.estimated, real.whole], ['client_abort', true, false], id);
      const textMax = Math.ceil((real.chunks * planOf(Number(id.slice(1))).chunkBytes) / 4);
      assert.ok(
        output >= 1 && output <= textMax,
        `${id}: charged ${output} tokens of at most ${textMax} that were sent`,
      );
      assert.ok(input > 0, `${id}: the input counts too`);
    }
  }
  assert.equal(totals.recorded, totals.reported, 'the sums are those of the upstream');
}

/** The upstream's own list. */
async function askUpstream(path: string): Promise<string> {
  const direct = createClient(Number(new URL(upstream.origin).port), MODEL);
  try {
    return (await direct.send(path)).text;
  } finally {
    direct.close();
  }
}

/** Memory once it is within the bounds, or as it is after the longest wait. */
async function settledMemory(base: Observation): Promise<Observation> {
  client.close();
  await sleep(6000);
  const deadline = Date.now() + SETTLE_MAX_MS;
  for (;;) {
    await sleep(2000);
    const seen = { ...(await postern.observe()), rssBytes: residentBytes(postern.pid) };
    const isBack =
      seen.heapBytes - base.heapBytes <= HEAP_GROWTH_MAX_BYTES &&
      seen.rssBytes - base.rssBytes <= RSS_GROWTH_MAX_BYTES;
    if (isBack || Date.now() > deadline) return seen;
  }
}

interface Findings {
  /** Resident bytes before the first request. */
  readonly fresh: number;
  readonly base: Observation;
  readonly underLoad: Observation;
  readonly settled: Observation;
  readonly count: number;
}

function report(say: (text: string) => void, { fresh, base, underLoad, settled, count }: Findings): void {
  const { p50, p99, max } = underLoad.loopDelayMs;
  say(
    `${count} streams; event loop late by ${p50.toFixed(1)} ms p50, ${p99.toFixed(1)} p99, ${max.toFixed(1)} at most`,
  );
  say(`the longest time that the process itself held the loop: ${underLoad.loopBusyMaxMs.toFixed(1)} ms`);
  say(`before the first request: resident ${megabytes(fresh)}`);
  for (const [when, seen] of [
    ['before', base],
    ['at the end of the load', underLoad],
    ['after', settled],
  ] as const)
    say(
      `${when}: heap ${megabytes(seen.heapBytes)}, buffers ${megabytes(seen.bufferBytes)}, resident ${megabytes(seen.rssBytes)}`,
    );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
