/** Two nodes over loopback UDP, and what one refuses. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { systemRandom } from '../../base/random.ts';
import { encodeDnsQuery, DNS_CLASS_IN, DNS_RCODE, DNS_TYPE, parseDnsMessage } from '../../wire/dns.ts';
import { formatPublicKey, generateClientKey } from './wg-quick.ts';
import { TailnetNode } from './tailnet-node.ts';

let folder = '';
const nodes: TailnetNode[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-node-'));
});
after(async () => {
  await Promise.all(nodes.map((node) => node.close()));
  await rm(folder, { recursive: true, force: true });
});

function makeNode(name: string): TailnetNode {
  const node = new TailnetNode({
    stateDir: join(folder, name),
    hostname: name,
    address4: '127.0.0.1',
    address6: null,
  });
  nodes.push(node);
  return node;
}

/** Two that know each other; `b` knows where `a` is. */
async function makePair(name: string): Promise<{ a: TailnetNode; b: TailnetNode }> {
  const [a, b] = [makeNode(`${name}-a`), makeNode(`${name}-b`)];
  await Promise.all([a.up(), b.up()]);
  a.setPeer({ publicKey: formatPublicKey(b.publicKey), name: 'bee', addresses: b.addresses });
  b.setPeer({
    publicKey: formatPublicKey(a.publicKey),
    name: 'ay',
    addresses: a.addresses,
    endpoint: { address: '127.0.0.1', port: a.udpPort },
  });
  return { a, b };
}

describe('TailnetNode with static peers', () => {
  test('serves node:http to a peer, and knows who asks', async () => {
    const { a, b } = await makePair('http');
    const server = http.createServer((request, response) => {
      response.end(a.peerOf(request.socket)?.name ?? 'nobody');
    });
    a.listen(80, (socket) => server.emit('connection', socket));
    const agent = b.httpAgent();
    const request = http.get({ agent, host: 'ay' });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    assert.equal(await text(response), 'bee');
    agent.destroy();
    assert.equal(a.whois(b.addresses[0] ?? '')?.name, 'bee');
    assert.equal(a.whois('10.99.99.99'), null);
    assert.equal(a.whois('no address'), null);
    assert.equal(a.peerOf({}), undefined);
    const [status] = a.status().peers;
    assert.ok(status?.handshakeAgeMs !== null && (status?.receivedBytes ?? 0) > 0);
  });

  test('a removed peer loses its connections at once, and is told of; its socket belongs to nobody', async () => {
    const { a, b } = await makePair('remove');
    const accepted = Promise.withResolvers<object>();
    const closed = Promise.withResolvers<void>();
    a.listen(7, (socket) => {
      socket.on('error', () => undefined).on('close', () => closed.resolve());
      accepted.resolve(socket);
    });
    const ended: string[] = [];
    a.onPeerEnded((peer) => ended.push(peer.name));
    const socket = await b.dial('ay', 7);
    socket.on('error', () => undefined);
    const other = await accepted.promise;
    assert.equal(a.peerOf(other)?.name, 'bee');
    assert.equal(a.removePeer(formatPublicKey(b.publicKey)), true);
    await closed.promise;
    assert.deepEqual(ended, ['bee']);
    assert.equal(a.peerOf(other), null);
    assert.equal(a.removePeer(formatPublicKey(b.publicKey)), false);
    socket.destroy();
    await assert.rejects(b.dial('ay', 7, { timeoutMs: 100 }), { code: 'ETIMEDOUT' });
  });

  test('the same peer set again keeps its object and connections; another identity does not', async () => {
    const { a, b } = await makePair('again');
    const peer = { publicKey: formatPublicKey(b.publicKey), name: 'bee', addresses: b.addresses };
    const ended: string[] = [];
    a.onPeerEnded(({ name }) => ended.push(name));
    const known = a.whois(b.addresses[0] ?? '');
    assert.equal(a.setPeer(peer), known);
    assert.deepEqual(ended, []);
    assert.notEqual(a.setPeer({ ...peer, tags: ['tag:ci'] }), known);
    assert.deepEqual(ended, ['bee']);
  });

  test('answers DNS for ai and names of peers, and refuses others', async () => {
    const { a, b } = await makePair('dns');
    const dns = await ask(b, a, 'ai', DNS_TYPE.a);
    assert.deepEqual([dns?.rcode, dns?.answers.length], [DNS_RCODE.ok, 1]);
    assert.equal((await ask(b, a, 'bee', DNS_TYPE.aaaa))?.answers.length, 1);
    assert.equal((await ask(b, a, 'example.com', DNS_TYPE.a))?.rcode, DNS_RCODE.refused);
  });

  test('keeps its key and addresses over a restart, in a file that only its owner reads', async () => {
    const first = makeNode('restart');
    await first.up();
    const [key, addresses] = [formatPublicKey(first.publicKey), first.addresses];
    await first.close();
    await first.close();
    const path = join(folder, 'restart', 'node.json');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const second = makeNode('restart');
    await second.up();
    assert.deepEqual([formatPublicKey(second.publicKey), second.addresses], [key, addresses]);
    assert.doesNotMatch(JSON.stringify(second.status()), /private/i);
  });

  test('a damaged state is refused, never replaced, and its text is in no error', async () => {
    const node = makeNode('damaged');
    await node.up();
    await node.close();
    const path = join(folder, 'damaged', 'node.json');
    for (const broken of [
      '',
      '{}',
      'secret-text',
      '{"version":1,"kind":"static","private_key":"secret-text"}',
    ]) {
      await writeFile(path, broken);
      await assert.rejects(node.up(), (error: Error) => {
        assert.match(error.message, /is damaged/);
        assert.doesNotMatch(error.message, /secret-text/);
        return true;
      });
      assert.equal(await readFile(path, 'utf8'), broken);
    }
  });

  test('a state that cannot be written is a clear error', async () => {
    await writeFile(join(folder, 'file'), '');
    const node = new TailnetNode({ stateDir: join(folder, 'file', 'below'), address6: null });
    await assert.rejects(node.up(), { code: 'node_state', message: /state/ });
  });

  test('refuses bad keys, bad addresses, and those of others or its own', async () => {
    const { a, b } = await makePair('refuse');
    const { publicKey } = generateClientKey(systemRandom);
    const good = { publicKey: formatPublicKey(publicKey), name: 'new', addresses: ['10.1.1.9'] };
    const refused = { code: 'node_peer_invalid' };
    assert.throws(() => a.setPeer({ ...good, publicKey: 'short' }), refused);
    assert.throws(() => a.setPeer({ ...good, publicKey: formatPublicKey(a.publicKey) }), refused);
    assert.throws(() => a.setPeer({ ...good, publicKey: Buffer.alloc(32).toString('base64') }), refused);
    assert.throws(() => a.setPeer({ ...good, addresses: [] }), refused);
    assert.throws(() => a.setPeer({ ...good, addresses: ['ai'] }), refused);
    assert.throws(() => a.setPeer({ ...good, addresses: [b.addresses[0] ?? ''] }), refused);
    assert.throws(() => a.setPeer({ ...good, addresses: [a.addresses[0] ?? ''] }), refused);
    assert.throws(() => a.setPeer({ ...good, presharedKey: 'AAAA' }), refused);
    assert.equal(a.status().peers.length, 1);
  });

  test('says that it is not up', async () => {
    const node = makeNode('down');
    assert.throws(() => node.listen(80), { code: 'node_not_up' });
    assert.equal(node.status().state, 'stopped');
    await node.close();
  });

  test('captures packets into a file that Wireshark reads', async () => {
    const { a, b } = await makePair('capture');
    const path = join(folder, 'packets.pcap');
    const stop = await a.capturePcap(path);
    await assert.rejects(a.capturePcap(join(folder, 'other.pcap')), { code: 'node_invalid_setting' });
    await assert.rejects(b.dial('ay', 9), { code: 'ECONNREFUSED' });
    await stop();
    const bytes = await readFile(path);
    assert.equal(bytes.readUInt32LE(0), 0xa1b2c3d4);
    assert.equal(bytes.readUInt32LE(20), 101);
    let at = 24;
    let packets = 0;
    while (at < bytes.length) {
      at += 16 + bytes.readUInt32LE(at + 8);
      packets += 1;
    }
    assert.equal(at, bytes.length);
    assert.ok(packets >= 2, `${packets} packets`);
  });
});

test('with offload off a node loads no node:ffi, so that Node.js warns of nothing (docs/node.md)', async () => {
  const stderrOf = async (name: string, options: object): Promise<string> => {
    const given = { stateDir: join(folder, name), address4: '127.0.0.1', address6: null, ...options };
    const program = `
      import { TailnetNode } from ${JSON.stringify(new URL('./tailnet-node.ts', import.meta.url).href)};
      const node = new TailnetNode(${JSON.stringify(given)});
      await node.up();
      await node.close();`;
    const run = promisify(execFile);
    const env = { ...process.env, NODE_OPTIONS: '' };
    const args = ['--input-type=module', '--eval', program];
    return (await run(process.execPath, args, { env, timeout: 60_000 })).stderr;
  };
  assert.doesNotMatch(await stderrOf('quiet', { offload: false }), /ExperimentalWarning/);
  const hasFfi = process.platform === 'linux' && process.getBuiltinModule('node:ffi') !== undefined;
  if (hasFfi) assert.match(await stderrOf('fast', {}), /ExperimentalWarning/);
});

async function ask(
  from: TailnetNode,
  to: TailnetNode,
  name: string,
  type: number,
): Promise<ReturnType<typeof parseDnsMessage>> {
  const query = encodeDnsQuery({ id: 7, question: { name, type, class: DNS_CLASS_IN } });
  assert.ok(query);
  const socket = from.bindUdp();
  const answered = once(socket, 'message') as Promise<[Buffer]>;
  socket.send(query, 53, to.addresses[0] ?? '');
  const [answer] = await answered;
  socket.close();
  return parseDnsMessage(answer);
}
