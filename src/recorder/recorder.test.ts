import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock, test, type TestContext } from 'node:test';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { silentLogger, type LogFields, type Logger } from '../base/log.ts';
import type { CapturedBodies, RequestBatch, RequestRow } from '../store/shapes.ts';
import { createRecorder, type Recorder, type RecorderOptions } from './recorder.ts';

/** The marks of a row; a recorder looks at nothing else. */
function row(id: string, given: Partial<RequestRow> = {}): RequestRow {
  const marks: Partial<RequestRow> = {
    id,
    tailnet: 'home',
    principal: 'local:1000',
    startedAt: 1,
    capture: 'full',
    sessionId: null,
    ...given,
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the rest of a row is never read.
  return marks as RequestRow;
}

function bodies(requestId: string, size = 10): CapturedBodies {
  return {
    requestId,
    tailnet: 'home',
    principal: 'local:1000',
    format: 'openai_chat',
    request: new Uint8Array(size),
    requestContentType: null,
    response: new Uint8Array(0),
    responseContentType: null,
    responseTruncated: false,
  };
}

/** A sink that takes batches, fails or waits as told. */
class FakeSink {
  readonly batches: RequestBatch[] = [];
  failure: Error | null = null;
  hold: Promise<void> | null = null;
  underWay = 0;
  mostUnderWay = 0;

  async appendRequests(batch: RequestBatch): Promise<void> {
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    try {
      await this.hold;
      if (this.failure !== null) throw this.failure;
      if (batch.rows.some(({ id }) => id.startsWith('bad'))) throw new AppError('store_invalid_row', 'no');
      this.batches.push(batch);
    } finally {
      this.underWay -= 1;
    }
  }

  ids(): string[] {
    return this.batches.flatMap((batch) => batch.rows.map(({ id }) => id));
  }
}

interface Bench {
  readonly sink: FakeSink;
  readonly recorder: Recorder;
  readonly clock: Clock & { time: number };
  readonly warnings: { message: string; fields: LogFields | undefined }[];
}

function bench(t: TestContext, options: Partial<RecorderOptions> = {}): Bench {
  const sink = new FakeSink();
  const clock = { time: 0, now: () => clock.time, monotonicMs: () => clock.time };
  const warnings: Bench['warnings'] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (message, fields) => void warnings.push({ message, fields }),
  };
  const recorder = createRecorder({ sink, clock, logger, ...options });
  t.after(() => recorder.close());
  return { sink, recorder, clock, warnings };
}

async function withFolder(check: (file: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-recorder-'));
  try {
    await check(join(folder, 'spill.jsonl'), folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lets all promises and immediates that are due have their turn, without any timer. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

test('rows are written 50 ms after the first (DESIGN section 8)', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { sink, recorder } = bench(t);
  recorder.record(row('a'), null, null);
  mock.timers.tick(30);
  recorder.record(row('b'), null, null);
  mock.timers.tick(19);
  await settle();
  assert.deepEqual(sink.ids(), []);
  mock.timers.tick(1);
  await settle();
  assert.deepEqual(sink.ids(), ['a', 'b']);
  assert.equal(recorder.stats().queuedRows, 0);
});

test('500 rows are written at once, without waiting, in one batch', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { sink, recorder } = bench(t);
  for (let i = 0; i < 500; i += 1) recorder.record(row(`r${i}`), null, null);
  assert.equal(sink.batches.length, 0, 'record itself never writes');
  await settle();
  assert.deepEqual(
    sink.batches.map(({ rows }) => rows.length),
    [500],
  );
});

test('only one write is under way, and what comes meanwhile follows in order', async (t) => {
  const { sink, recorder } = bench(t, { limits: { batchRows: 2 } });
  for (let i = 0; i < 9; i += 1) recorder.record(row(`r${i}`), null, null);
  await Promise.all([recorder.flush(), recorder.flush()]);
  assert.equal(sink.mostUnderWay, 1);
  assert.deepEqual(
    sink.ids(),
    Array.from({ length: 9 }, (_, i) => `r${i}`),
  );
  assert.equal(recorder.stats().written, 9);
});

test('rows that waited while others were written are written when 50 ms old, not 50 ms later (DESIGN section 8)', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { sink, recorder, clock } = bench(t);
  let release = (): void => undefined;
  sink.hold = new Promise((resolve) => {
    release = resolve;
  });
  recorder.record(row('first'), null, null);
  mock.timers.tick(50);
  recorder.record(row('second'), null, null);
  clock.time += 40;
  release();
  await settle();
  assert.deepEqual(sink.ids(), ['first']);
  mock.timers.tick(10);
  await settle();
  assert.deepEqual(sink.ids(), ['first', 'second']);
});

test('a batch is bounded in bytes; a larger exchange goes alone', async (t) => {
  const { sink, recorder } = bench(t, { limits: { batchBytes: 100 } });
  for (const [id, size] of [
    ['a', 60],
    ['b', 60],
    ['c', 500],
    ['d', 1],
  ] as const)
    recorder.record(row(id), bodies(id, size), null);
  await recorder.flush();
  assert.deepEqual(
    sink.batches.map(({ rows }) => rows.map(({ id }) => id).join('')),
    ['a', 'b', 'c', 'd'],
  );
});

test('the capture mode decides what is handed on: bodies under `full`, a hash of the conversation unless `none`', async (t) => {
  const { sink, recorder } = bench(t);
  const conversation = new Uint8Array(5);
  for (const capture of ['full', 'metadata', 'none'] as const)
    recorder.record(row(capture, { capture }), bodies(capture), conversation);
  recorder.record(row('labelled', { sessionId: 'mine' }), null, conversation);
  await recorder.flush();
  const [batch] = sink.batches;
  assert.deepEqual(
    batch?.bodies.map(({ requestId }) => requestId),
    ['full'],
  );
  assert.deepEqual([...(batch?.conversations ?? new Map()).keys()], ['full', 'metadata']);
});

test('beyond the byte bound bodies are dropped and counted, and the row says `metadata`', async (t) => {
  const { sink, recorder, warnings } = bench(t, { limits: { queueBytes: 100 } });
  recorder.record(row('a'), bodies('a', 80), null);
  recorder.record(row('b'), bodies('b', 30), null);
  recorder.record(row('c'), bodies('c', 20), null);
  await recorder.flush();
  const stored = sink.batches.flatMap(({ rows }) => rows.map(({ id, capture }) => `${id} ${capture}`));
  assert.deepEqual(stored, ['a full', 'b metadata', 'c full']);
  assert.deepEqual(
    sink.batches.flatMap((batch) => batch.bodies.map(({ requestId }) => requestId)),
    ['a', 'c'],
  );
  assert.equal(recorder.stats().droppedBodies, 1);
  assert.deepEqual(
    warnings.map(({ fields }) => fields?.['droppedBodies']),
    [1],
  );
});

test('beyond the row bound rows are lost and counted, never silently', async (t) => {
  const { sink, recorder, warnings } = bench(t, { limits: { queueRows: 3 } });
  for (let i = 0; i < 5; i += 1) recorder.record(row(`r${i}`), null, null);
  await recorder.flush();
  assert.equal(sink.ids().length, 3);
  assert.equal(recorder.stats().lostRows, 2);
  assert.equal(warnings.length, 1, 'one report a minute');
  await recorder.close();
  assert.equal(
    warnings.reduce((sum, { fields }) => sum + Number(fields?.['lostRows']), 0),
    2,
  );
});

test('a failed write keeps its rows, waits longer each time, and says why', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { sink, recorder } = bench(t);
  sink.failure = new AppError('store_write_failed', 'disk full');
  recorder.record(row('a'), bodies('a'), null);
  const attempts: number[] = [];
  const appended = sink.appendRequests.bind(sink);
  let time = 0;
  sink.appendRequests = (batch) => {
    attempts.push(time);
    return appended(batch);
  };
  for (; time < 2_000; time += 50) {
    mock.timers.tick(50);
    await settle();
  }
  assert.deepEqual(
    attempts.map((at, i) => at - (attempts[i - 1] ?? at)),
    [0, 100, 200, 400, 800],
  );
  assert.match(recorder.stats().lastError ?? '', /disk full/);
  assert.equal(recorder.stats().queuedRows, 1);
  sink.failure = null;
  await recorder.flush();
  assert.deepEqual(sink.ids(), ['a']);
  assert.equal(sink.batches[0]?.bodies.length, 1, 'its bodies too');
  assert.equal(recorder.stats().lastError, null);
});

test('flush rejects while the store fails, and nothing is lost by it', async (t) => {
  const { sink, recorder } = bench(t);
  sink.failure = new Error('disk full');
  recorder.record(row('a'), null, null);
  await assert.rejects(recorder.flush(), { code: 'recorder_write_failed' });
  sink.failure = null;
  await recorder.flush();
  assert.deepEqual(sink.ids(), ['a']);
});

test('a row that the store will never take does not hold up the others', async (t) => {
  const { sink, recorder } = bench(t);
  for (const id of ['a', 'bad', 'b']) recorder.record(row(id), null, null);
  await recorder.flush();
  assert.deepEqual(sink.ids(), ['a', 'b']);
  assert.equal(recorder.stats().lostRows, 1);
});

test('when the store keeps failing, rows go to the spill file and come back at the next success', async (t) => {
  await withFolder(async (file, folder) => {
    const { sink, recorder } = bench(t, { spillFile: file, limits: { spillAfterFailures: 2 } });
    sink.failure = new Error('disk full');
    recorder.record(row('a'), bodies('a'), null);
    await assert.rejects(recorder.flush());
    recorder.record(row('b'), null, null);
    await recorder.flush();
    assert.deepEqual(
      [recorder.stats().spilledRows, recorder.stats().droppedBodies, recorder.stats().queuedRows],
      [2, 1, 0],
    );
    sink.failure = null;
    recorder.record(row('c'), null, null);
    await recorder.flush();
    assert.deepEqual(sink.ids().sort(), ['a', 'b', 'c']);
    const back = sink.batches.flatMap(({ rows }) => rows).find(({ id }) => id === 'a');
    assert.equal(back?.capture, 'metadata', 'its bodies were not spilled');
    assert.deepEqual(await readdir(folder), []);
    assert.equal(recorder.stats().lostRows, 0);
  });
});

test('rows that an earlier process spilled are replayed at the start; torn lines are counted', async (t) => {
  await withFolder(async (file, folder) => {
    const lines = Array.from({ length: 1_200 }, (_, i) => JSON.stringify(row(`r${i}`)));
    await writeFile(
      file,
      `\n${lines.slice(0, 700).join('\n')}\n{"id":"torn","tail\n\n[1]\n${lines.slice(700).join('\n')}`,
    );
    await writeFile(`${file}.replay`, JSON.stringify(row('earlier')));
    const { sink, recorder } = bench(t, { spillFile: file });
    recorder.record(row('new'), null, null);
    await recorder.flush();
    while ((await readdir(folder)).length > 0) await settle();
    assert.equal(new Set(sink.ids()).size, 1_202);
    assert.ok(sink.batches.every(({ rows }) => rows.length <= 500));
    assert.equal(recorder.stats().lostRows, 2);
  });
});

test('a replay that fails begins again without losing a row', async (t) => {
  await withFolder(async (file) => {
    await writeFile(file, [row('a'), row('b')].map((line) => JSON.stringify(line)).join('\n'));
    const { sink, recorder } = bench(t, { spillFile: file, limits: { backoffMinMs: 1 } });
    sink.failure = new Error('locked');
    recorder.record(row('c'), null, null);
    await assert.rejects(recorder.flush());
    sink.failure = null;
    await recorder.flush();
    while (sink.ids().length < 3) await settle();
    assert.deepEqual(sink.ids().sort(), ['a', 'b', 'c']);
  });
});

test('closing writes what is queued, or spills it, and later records count as lost', async (t) => {
  await withFolder(async (file) => {
    const { sink, recorder } = bench(t, { spillFile: file });
    recorder.record(row('a'), null, null);
    await recorder.close();
    assert.deepEqual(sink.ids(), ['a']);
    recorder.record(row('late'), null, null);
    assert.equal(recorder.stats().lostRows, 1);

    const second = bench(t, { spillFile: file });
    second.sink.failure = new Error('disk full');
    second.recorder.record(row('b'), null, null);
    await second.recorder.close();
    assert.match(await readFile(file, 'utf8'), /"id":"b"/);
    assert.equal(second.recorder.stats().lostRows, 0);
  });
});

test('with neither store nor spill file, closing counts what is lost', async (t) => {
  const { sink, recorder, warnings } = bench(t);
  sink.failure = new Error('disk full');
  recorder.record(row('a'), null, null);
  await recorder.close();
  assert.equal(recorder.stats().lostRows, 1);
  assert.ok(warnings.some(({ fields }) => fields?.['lostRows'] === 1));
});

test('a full spill file takes no more; rows stay in memory', async (t) => {
  await withFolder(async (file) => {
    const { sink, recorder } = bench(t, {
      spillFile: file,
      limits: { spillAfterFailures: 1, spillFileBytes: 0 },
    });
    sink.failure = new Error('disk full');
    recorder.record(row('a'), null, null);
    await assert.rejects(recorder.flush());
    assert.equal(recorder.stats().queuedRows, 1);
    sink.failure = null;
    await recorder.flush();
    assert.deepEqual(sink.ids(), ['a']);
  });
});

test('the lag is the age of the oldest row in memory, also while it is being written', async (t) => {
  const { sink, recorder, clock } = bench(t);
  let release = (): void => undefined;
  sink.hold = new Promise((resolve) => {
    release = resolve;
  });
  assert.equal(recorder.stats().lagMs, 0);
  recorder.record(row('a'), bodies('a', 7), null);
  const flushed = recorder.flush();
  clock.time = 40;
  await settle();
  assert.deepEqual(
    [recorder.stats().lagMs, recorder.stats().queuedRows, recorder.stats().queuedBytes],
    [40, 1, 7],
  );
  release();
  await flushed;
  assert.deepEqual([recorder.stats().lagMs, recorder.stats().queuedBytes], [0, 0]);
});
