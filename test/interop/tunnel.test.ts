/**
 * The kernel's TCP over wireguard-go against our whole node, WireGuard and TCP/IP stack, on machines of
 * their own. Linux, root, curl.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createTunnelBed, expectedDigest, type TunnelBed, type TunnelEnd } from './tunnel-bed.ts';

const MB = 1_000_000;
const SEED = 20_261_123;
const CONNECTIONS = 200;

let bed: TunnelBed;
let clean: TunnelEnd;
let lossy: TunnelEnd;

before(async () => {
  bed = await createTunnelBed();
  clean = await bed.addOurs('clean');
  lossy = await bed.addOurs('lossy', { loss: 0.01, seed: SEED });
});
after(async () => {
  await bed?.close();
});

async function bothWays(end: TunnelEnd, bytes: number): Promise<string> {
  const digest = expectedDigest(bytes);
  const down = await bed.download(end, bytes);
  assert.equal(down.sha256, digest, `download, seed ${SEED}`);
  const up = await bed.upload(end, bytes);
  assert.equal(up.sha256, digest, `upload, seed ${SEED}`);
  const rate = (seconds: number): string => ((bytes * 8) / seconds / 1e6).toFixed(0);
  return `down ${rate(down.seconds)}, up ${rate(up.seconds)} Mbit/s`;
}

describe('kernel TCP over wireguard-go, and our node', () => {
  test('20 MB come whole both ways', async (t) => {
    t.diagnostic(await bothWays(clean, 20 * MB));
  });

  test('20 MB come whole both ways while 1 % of the packets are lost in each direction', async (t) => {
    t.diagnostic(await bothWays(lossy, 20 * MB));
  });

  for (const name of ['clean', 'lossy'] as const) {
    test(`${CONNECTIONS} connections at once, each with its own bytes (${name})`, async () => {
      const { url } = name === 'clean' ? clean : lossy;
      const files = join(bed.client.folder, `${name}-`);
      const range = `[100001-${100_000 + CONNECTIONS}]`;
      const most = String(CONNECTIONS);
      const words = ['curl', '-sS', '--fail', '-Z', '--parallel-immediate', '--parallel-max', most];
      const result = await bed.client.exec([...words, '-o', `${files}#1`, `${url}/bytes/${range}`]);
      assert.equal(result.code, 0, result.stderr);
      for (let bytes = 100_001; bytes <= 100_000 + CONNECTIONS; bytes += 1) {
        const came = await readFile(`${files}${bytes}`);
        const digest = createHash('sha256').update(came).digest('hex');
        assert.equal(digest, expectedDigest(bytes), `${bytes} bytes, seed ${SEED}`);
      }
    });
  }
});
