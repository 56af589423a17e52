/** How fast our relay carries a download, beside the one that Headscale embeds: printed, not judged. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import type { TailscaleDevice } from './device.ts';
import { startRelayBed } from './relay-bed.ts';
import { startTailnetBed } from './tailnet-bed.ts';

const BODY_BYTES = 100 * 1024 * 1024;
const SERVE = `const body = Buffer.alloc(64 * 1024, 7);
require('node:http').createServer((request, response) => {
  let left = ${BODY_BYTES};
  const more = () => {
    while (left > 0) { left -= body.length; if (!response.write(body)) return response.once('drain', more); }
    response.end();
  };
  more();
}).listen(8000, '0.0.0.0');`;

/** MB/s of one download by curl. */
async function download(from: TailscaleDevice, to: TailscaleDevice): Promise<number> {
  to.machine.start([process.execPath, '-e', SERVE]);
  const target = `http://${to.addresses[0]}:8000/`;
  const words = ['curl', '-sS', '-o', '/dev/null', '-w', '%{size_download} %{speed_download}', target];
  const said = await eventually(
    async () => {
      const { code, stdout } = await from.machine.exec(words, { timeoutMs: 40_000 });
      return code === 0 ? stdout : null;
    },
    'curl has its answer',
    40_000,
  );
  const [bytes, speed] = said.split(' ').map(Number);
  assert.equal(bytes, BODY_BYTES);
  return (speed ?? 0) / 1e6;
}

/** The process of the bed whose command line has these words. */
async function findProcess(words: readonly string[]): Promise<number> {
  for (const name of await readdir('/proc')) {
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (words.every((word) => line.includes(word))) return Number(name);
  }
  throw new Error(`no process has ${words.join(' ')}`);
}

/** CPU seconds of a process so far. */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describe('a download of 100 MiB through the relay', () => {
  test('ours, over TLS', async (context) => {
    const bed = await startRelayBed();
    try {
      const [one, other] = await Promise.all([bed.join('one'), bed.join('other')]);
      await bed.setMembers([
        [one, ['a']],
        [other, ['a']],
      ]);
      await one.reach(other);
      const before = await cpuSeconds(bed.relayPid);
      const speed = await download(one, other);
      const cpu = (await cpuSeconds(bed.relayPid)) - before;
      const { relay } = await bed.report();
      context.diagnostic(
        `ours: ${speed.toFixed(1)} MB/s, ${cpu.toFixed(2)} s CPU of the relay, ${relay['packets']} packets, ${relay['droppedQueueFull']} dropped`,
      );
    } finally {
      await bed.close();
    }
  });

  test('Headscale’s, over plain HTTP', async (context) => {
    const bed = await startTailnetBed();
    try {
      const alice = await bed.headscale.addUser('alice');
      const join = (name: string): Promise<TailscaleDevice> =>
        bed.join(name, { user: alice, relayOnly: true });
      const [one, other] = await Promise.all([join('one'), join('other')]);
      await one.reach(other);
      const pid = await findProcess([bed.programs.headscale, dirname(one.machine.folder), 'serve']);
      const before = await cpuSeconds(pid);
      const speed = await download(one, other);
      const cpu = (await cpuSeconds(pid)) - before;
      context.diagnostic(`Headscale’s: ${speed.toFixed(1)} MB/s, ${cpu.toFixed(2)} s CPU of the process`);
    } finally {
      await bed.close();
    }
  });
});
