/** HTTP clients through a node: TLS as everywhere, and errors where they belong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { Agent, request } from 'undici';
import { createSelfSignedCertificate } from '../../crypto/index.ts';
import { TailnetNode } from './tailnet-node.ts';
import { formatPublicKey } from './wg-quick.ts';

const day = 86_400_000;
const certificate = createSelfSignedCertificate({
  commonName: 'ay',
  names: ['ay'],
  addresses: [],
  notBefore: Date.now() - day,
  notAfter: Date.now() + day,
});
let folder = '';
let serving: TailnetNode;
let calling: TailnetNode;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-connectors-'));
  [serving, calling] = ['ay', 'bee'].map(
    (hostname) =>
      new TailnetNode({ stateDir: join(folder, hostname), hostname, address4: '127.0.0.1', address6: null }),
  ) as [TailnetNode, TailnetNode];
  await Promise.all([serving.up(), calling.up()]);
  serving.setPeer({
    publicKey: formatPublicKey(calling.publicKey),
    name: 'bee',
    addresses: calling.addresses,
  });
  calling.setPeer({
    publicKey: formatPublicKey(serving.publicKey),
    name: 'ay',
    addresses: serving.addresses,
    endpoint: { address: '127.0.0.1', port: serving.udpPort },
  });
  const answer: http.RequestListener = (_request, response) => void response.end('hello');
  const plain = http.createServer(answer);
  const secure = https.createServer(certificate, answer);
  secure.on('tlsClientError', () => undefined);
  const two = http2.createSecureServer(certificate, (_request, response) => void response.end('two'));
  const halfOpen = { allowHalfOpen: true };
  serving.listen(80, (socket) => plain.emit('connection', socket), halfOpen);
  serving.listen(443, (socket) => secure.emit('connection', socket), halfOpen);
  serving.listen(444, (socket) => two.emit('connection', socket), halfOpen);
});
after(async () => {
  await Promise.all([serving, calling].map((node) => node.close()));
  await rm(folder, { recursive: true, force: true });
});

async function get(url: string, agent: https.Agent): Promise<string> {
  const [response] = (await once(https.get(url, { agent }), 'response')) as [http.IncomingMessage];
  return text(response);
}

describe('HTTP through a node', () => {
  test('https: the certificate is verified against the name that was asked for', async () => {
    const trusting = calling.httpsAgent({ ca: certificate.cert });
    assert.equal(await get('https://ay/', trusting), 'hello');
    const [address = ''] = serving.addresses;
    await assert.rejects(get(`https://${address}/`, trusting), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    const untrusting = calling.httpsAgent();
    await assert.rejects(get('https://ay/', untrusting), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    trusting.destroy();
    untrusting.destroy();
  });

  test('undici: plain and TLS, by name and by address of either family', async () => {
    const dispatcher = new Agent({ connect: calling.connector({ ca: certificate.cert }) });
    const [v4, v6] = serving.addresses;
    for (const url of ['http://ay/', `http://${v4}/`, `http://[${v6}]/`, 'https://ay/']) {
      const { body } = await request(url, { dispatcher });
      assert.equal(await body.text(), 'hello', url);
    }
    await dispatcher.close();
  });

  test('undici: no such name, nobody listening, an untrusted certificate', async () => {
    const dispatcher = new Agent({ connect: calling.connector() });
    await assert.rejects(request('http://nobody/', { dispatcher }), { code: 'ENOTFOUND' });
    await assert.rejects(request('http://ay:81/', { dispatcher }), { code: 'ECONNREFUSED' });
    await assert.rejects(request('https://ay/', { dispatcher }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await dispatcher.close();
  });

  test('HTTP/2 over TLS over a dialled socket', async () => {
    const socket = await calling.dial('ay', 444, { allowHalfOpen: true });
    const session = http2.connect('https://ay', {
      createConnection: () =>
        tls.connect({ socket, servername: 'ay', ca: certificate.cert, ALPNProtocols: ['h2'] }),
    });
    assert.equal(await text(session.request({ ':path': '/' })), 'two');
    session.close();
  });
});
