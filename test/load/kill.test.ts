/**
 * SIGKILL under load, twenty times on one state folder: after each start the database is whole, every
 * exchange that was answered in time is recorded, and provider objects still have their owner (DESIGN section 8).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type CallEnd, type Client } from './client.ts';
import { MODEL, startPostern, startUpstream, type PosternUnderLoad, type Upstream } from './processes.ts';
import { readRows } from './records.ts';

const KILLS = Number(process.env['POSTERN_LOAD_KILLS'] ?? 20);
const CALLERS = 32;
/** The recorder's bound (DESIGN section 8). */
const BOUND_MS = 250;
const BOUND_ROWS = 1000;
/** Kills of which something older than the first bound may be missing: a disk or a neighbour stalled the write. */
const STALLS_MAX = Math.ceil(KILLS / 10);
/** Even then. */
const STALL_MAX_MS = 1500;
/** An owner is written 20 ms after the answer, behind the rows that are being written. */
const OWNERS_BOUND_MS = 500;

let stateDir: string;
let upstream: Upstream;
/** All that were started, so that none outlives a failure. */
const started: PosternUnderLoad[] = [];

before(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'postern-kill-'));
  upstream = await startUpstream();
});

after(async () => {
  for (const postern of started) await postern.kill();
  await upstream?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

/** What callers saw over all lives of the process. */
interface Seen {
  readonly ends: CallEnd[];
  /** Stored responses of this life, with the time at which their maker had the id. */
  objects: { readonly id: string; readonly at: number }[];
  /** Ids that were made in time before a kill. */
  readonly durable: string[];
  started: number;
}

interface Loss {
  readonly rows: number;
  /** How long before the kill the oldest lost one was answered. */
  readonly oldestMs: number;
}

test(
  `kill -9 under load, ${KILLS} times: never corrupt, at most ${BOUND_MS} ms lost, owners survive`,
  { timeout: 900_000 },
  async (t) => {
    const seen: Seen = { ends: [], objects: [], durable: [], started: 0 };
    const losses: Loss[] = [];
    const forgiven = new Set<string>();
    for (let round = 0; round < KILLS; round += 1) {
      const killedAt = await loadAndKill(await start(), seen, 1500 + (round % 5) * 150);
      const next = await start();
      const client = createClient(next.port, MODEL);
      assert.equal(checkDatabase(), 'ok', `round ${round}: the database is whole`);
      const recorded = new Set((await readRows(client)).map(({ session_id }) => session_id));
      const lost = lostOf(seen.ends, recorded, forgiven);
      for (const { id } of lost) forgiven.add(id);
      losses.push({ rows: lost.length, oldestMs: Math.max(0, ...lost.map(({ at }) => killedAt - at)) });
      await checkOwners(client, seen, killedAt);
      client.close();
      await next.kill();
    }
    const ages = losses.map(({ oldestMs }) => oldestMs).toSorted((a, b) => a - b);
    const rows = losses.map((loss) => loss.rows).toSorted((a, b) => a - b);
    t.diagnostic(
      `${seen.ends.length} answered; lost by a kill: ${rows.at(KILLS >> 1)} rows (median), ${rows.at(-1)} (most); the oldest ${ages.at(KILLS >> 1)} ms (median), ${ages.at(-1)} ms (most)`,
    );
    assert.ok(seen.ends.length > KILLS * 100, 'there was a load');
    assert.ok(
      losses.every((loss) => loss.rows <= BOUND_ROWS || loss.oldestMs > BOUND_MS),
      'no kill takes more rows than the bound, but for those that a stalled write held back',
    );
    assert.ok(
      ages.filter((age) => age > BOUND_MS).length <= STALLS_MAX,
      `lost by age: ${ages.join(', ')} ms`,
    );
    assert.ok((ages.at(-1) ?? 0) <= STALL_MAX_MS, `lost by age: ${ages.join(', ')} ms`);
  },
);

async function start(): Promise<PosternUnderLoad> {
  const postern = await startPostern({ stateDir, upstream: upstream.origin, capture: 'full' });
  started.push(postern);
  return postern;
}

/** Runs callers for a while, then kills the process among them; gives the time of the kill. */
async function loadAndKill(postern: PosternUnderLoad, seen: Seen, forMs: number): Promise<number> {
  const client = createClient(postern.port, MODEL);
  const life = { isOver: false };
  const caller = async (): Promise<void> => {
    while (!life.isOver) {
      seen.started += 1;
      const number = seen.started;
      if (number % 20 === 0) await makeObject(client, seen, number);
      else await callOnce(client, seen, number);
    }
  };
  const callers = Promise.all(Array.from({ length: CALLERS }, () => caller()));
  await sleep(forMs);
  const killedAt = Date.now();
  life.isOver = true;
  await postern.kill();
  await callers;
  client.close();
  return killedAt;
}

async function callOnce(client: Client, seen: Seen, number: number): Promise<void> {
  const stream = number % 2 === 0;
  const end = await client.call({
    id: `s${number}`,
    chunks: 5,
    gapMs: stream ? 2 : 0,
    chunkBytes: 40,
    stream,
    abortAfterBytes: null,
    readPauseMs: 0,
  });
  if (end.end === 'whole' && end.status === 200) seen.ends.push(end);
  // After the kill every call fails at once; the pause keeps the callers from spinning.
  else await sleep(20);
}

async function makeObject(client: Client, seen: Seen, number: number): Promise<void> {
  try {
    const { status } = await client.send('/v1/responses', {
      model: MODEL,
      user: `r${number} 1 0 8`,
      input: 'keep this',
    });
    if (status === 200) seen.objects.push({ id: `resp_r${number}`, at: Date.now() });
  } catch {
    // The kill came in between: the maker never had the id.
    await sleep(20);
  }
}

/** Answered calls without a row, but for those that earlier kills were allowed to take. */
function lostOf(
  ends: readonly CallEnd[],
  recorded: ReadonlySet<string>,
  forgiven: ReadonlySet<string>,
): CallEnd[] {
  return ends.filter(({ id }) => !recorded.has(id) && !forgiven.has(id));
}

/** SQLite's own check of the whole file, while the server has it open. */
function checkDatabase(): string {
  const name = readdirSync(stateDir).find((file) => file.endsWith('.db') || file.endsWith('.sqlite'));
  assert.ok(name !== undefined, 'the state folder has a database');
  const database = new DatabaseSync(join(stateDir, name), { readOnly: true });
  try {
    return String(database.prepare('PRAGMA integrity_check').get()?.['integrity_check']);
  } finally {
    database.close();
  }
}

/** The newest objects that must have been durable at the kill, and some old ones, are still their maker's. */
async function checkOwners(client: Client, seen: Seen, killedAt: number): Promise<void> {
  const made = seen.objects.filter(({ at }) => killedAt - at > OWNERS_BOUND_MS);
  seen.objects = [];
  seen.durable.push(...made.map(({ id }) => id));
  for (const id of [...seen.durable.slice(-10), ...seen.durable.slice(0, 5)]) {
    const { status, text } = await client.send(`/v1/responses/${id}`);
    assert.equal(status, 200, `${id} still belongs to its maker: ${text}`);
  }
}
