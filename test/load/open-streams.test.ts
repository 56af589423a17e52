/**
 * What an open stream costs in memory: thousands of them, quiet, at once (DESIGN section 11). Needs file
 * descriptors: two for each stream in Postern.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type CallEnd, type Client } from './client.ts';
import {
  MODEL,
  residentBytes,
  startPostern,
  startUpstream,
  type PosternUnderLoad,
  type Upstream,
} from './processes.ts';

const STREAMS = 5000;
/** Resident memory for each. The aim is 40 kB (DESIGN section 11), which is not reached yet; this keeps what is. */
const STREAM_MAX_BYTES = 60_000;
/** As callers come: opening all at once measures the accept queue. */
const RAMP_MS = 10_000;
const GAP_MS = 6000;

let stateDir: string;
let upstream: Upstream;
let postern: PosternUnderLoad;
let client: Client;

before(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'postern-open-'));
  upstream = await startUpstream();
  postern = await startPostern({ stateDir, upstream: upstream.origin, capture: 'full' });
  client = createClient(postern.port, MODEL);
});

after(async () => {
  client?.close();
  await postern?.stop();
  await upstream?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

test(
  `${STREAMS} open streams take at most ${STREAM_MAX_BYTES / 1000} kB each (DESIGN section 11)`,
  { timeout: 120_000 },
  async (t) => {
    await callOnce(0);
    // The memory of the start is given back first, or it would hide what streams cost.
    await sleep(6000);
    const atRest = residentBytes(postern.pid);
    const ends = Array.from({ length: STREAMS }, async (_, index) => {
      await sleep((index * RAMP_MS) / STREAMS);
      return callOnce(index + 1);
    });
    await sleep(RAMP_MS + GAP_MS / 2);
    const each = (residentBytes(postern.pid) - atRest) / STREAMS;
    const ended = await Promise.all(ends);
    const broken = ended.filter(({ end, status }) => end !== 'whole' || status !== 200);
    t.diagnostic(`${(each / 1000).toFixed(1)} kB a stream; at rest ${(atRest / 1e6).toFixed(0)} MB`);
    assert.deepEqual(
      broken.slice(0, 5),
      [],
      `${broken.length} streams did not come to their end; ${postern.log()}`,
    );
    assert.ok(each <= STREAM_MAX_BYTES, `an open stream takes ${(each / 1000).toFixed(1)} kB`);
  },
);

function callOnce(index: number): Promise<CallEnd> {
  return client.call({
    id: `o${index}`,
    chunks: index === 0 ? 1 : 4,
    gapMs: GAP_MS,
    chunkBytes: 40,
    stream: true,
    abortAfterBytes: null,
    readPauseMs: 0,
  });
}
