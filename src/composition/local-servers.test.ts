import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { findLocalServers, listeningOwner, type Probe } from './local-servers.ts';

async function modelServer(t: TestContext, answer: string): Promise<Probe> {
  const server = http.createServer((_req, res) => res.end(answer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { id: 'ollama', name: 'Ollama', port, path: '/v1/models' };
}

const MODELS = JSON.stringify({ data: [{ id: 'qwen3:8b' }, { id: 'gpt-oss' }] });

test("a model server of the starter's or the system's is found with its models (DESIGN section 6)", async (t) => {
  const probe = await modelServer(t, MODELS);
  for (const owner of [1000, 0, 999]) {
    const [found] = await findLocalServers({
      ownerOf: () => Promise.resolve(owner),
      ownUid: 1000,
      probes: [probe],
    });
    assert.deepEqual(found?.provider.models, ['qwen3:8b', 'gpt-oss']);
    assert.equal(found?.port, probe.port);
    assert.equal(found?.provider.secret, null);
  }
});

test("another person's server, or one whose owner is unknown, is not used", async (t) => {
  const probe = await modelServer(t, MODELS);
  for (const owner of [1001, null]) {
    assert.deepEqual(
      await findLocalServers({ ownerOf: () => Promise.resolve(owner), ownUid: 1000, probes: [probe] }),
      [],
    );
  }
});

test('whatever does not answer like a model server is not one', async (t) => {
  for (const answer of ['hello', '{}', '{"data":5}', 'x'.repeat(300_000)]) {
    const probe = await modelServer(t, answer);
    const found = await findLocalServers({ ownerOf: () => Promise.resolve(0), ownUid: 0, probes: [probe] });
    assert.deepEqual(found, [], answer.slice(0, 20));
  }
});

test(
  'the owner of a listening socket is read from the kernel',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const { port } = await modelServer(t, MODELS);
    assert.equal(await listeningOwner('127.0.0.1', port), process.getuid?.());
    assert.equal(await listeningOwner('127.0.0.1', 1), null);
  },
);
