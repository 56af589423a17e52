/**
 * A whole running server against the real kernel: other OS users, forwarded ports, thousands of
 * connections (DESIGN section 5). Needs root, to become other users, and Linux.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, describe, test } from 'node:test';
import { eventually } from '../scenarios/ask.ts';
import { startScene } from '../scenarios/fake-providers.ts';
import { runAs } from './run-as.ts';
import { watchTurns } from './turns.ts';

/** Users without an entry in the passwd file; nothing on a machine runs as them. */
const ALICE = 54_331;
const FORWARDER = 54_332;
const CAP = 'postern.dev/cap/gateway';

/** Root and ALICE may use models; FORWARDER and everybody else may not. */
const GRANTS = {
  grants: [{ src: ['local:0', `local:${ALICE}`], app: { [CAP]: [{ role: 'user', models: '**' }] } }],
};

const ROUNDS = 5;

before(() => {
  assert.equal(process.platform, 'linux', 'these tests read the socket tables of Linux');
  assert.equal(process.getuid?.(), 0, 'these tests become other users: run them as root');
});

/** A program that asks for `path` and prints status and body in one line. */
function asking(port: number, path: string, hostPort = port): string {
  return `const http = require('node:http');
    http.get({ host: '127.0.0.1', port: ${port}, path: '${path}', agent: false, headers: { host: 'localhost:${hostPort}' } }, (res) => {
      let body = '';
      res.on('data', (chunk) => (body += chunk)).on('end', () => console.log(res.statusCode + ' ' + body.replaceAll('\\n', ' ')));
    });`;
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

describe('a running server', () => {
  test('another OS user on loopback is that user, with that user’s rights and no others', async (t) => {
    const { postern } = await startScene(t, { more: GRANTS });
    const port = portOf(postern.url);
    for (const uid of [0, ALICE]) {
      assert.match(
        await runAs(t, uid, asking(port, '/api/v1/whoami')).line(),
        new RegExp(`"principal":"local:${uid}"`),
      );
      assert.match(await runAs(t, uid, asking(port, '/v1/models')).line(), /^200 .*gpt-5|^200 /);
    }
    const other = await runAs(t, FORWARDER, asking(port, '/v1/models')).line();
    assert.match(other, /^403 /, 'a known user without a role');
    const socket = await runAs(
      t,
      ALICE,
      `require('node:net').connect(${JSON.stringify(postern.socketPath)}).on('error', (error) => console.log(error.code)).on('connect', () => console.log('connected'));`,
    ).line();
    assert.equal(socket, 'EACCES', 'the socket is the owner’s alone');
  });

  test('what comes through a forwarded port has the forwarder’s rights, never those of who is behind it', async (t) => {
    const { postern } = await startScene(t, { more: GRANTS });
    const port = portOf(postern.url);
    const forwarder = runAs(
      t,
      FORWARDER,
      `const net = require('node:net');
       const server = net.createServer((inside) => {
         const out = net.connect(${port}, '127.0.0.1');
         inside.pipe(out).pipe(inside);
         inside.on('error', () => out.destroy());
         out.on('error', () => inside.destroy());
       }).listen(0, '127.0.0.1', () => console.log(server.address().port));`,
    );
    const forwarded = Number(await forwarder.line());
    for (const uid of [0, ALICE]) {
      assert.match(
        await runAs(t, uid, asking(forwarded, '/api/v1/whoami', port)).line(),
        new RegExp(`"principal":"local:${FORWARDER}"`),
      );
      assert.match(await runAs(t, uid, asking(forwarded, '/v1/models', port)).line(), /^403 /);
    }
    assert.match(
      await runAs(t, 0, asking(forwarded, '/v1/models')).line(),
      /^421 /,
      'the forwarded port is no name of this server',
    );
  });

  test('5,000 open connections: each is known, and the longest turn of the loop is under 10 ms of CPU', async (t) => {
    const { postern } = await startScene(t, { more: GRANTS });
    const port = portOf(postern.url);
    const turns = watchTurns();
    t.after(() => turns.stop());
    const client = runAs(
      t,
      ALICE,
      `const net = require('node:net');
       const request = 'GET /v1/models HTTP/1.1\\r\\nHost: localhost:${port}\\r\\n\\r\\n';
       const ask = () => new Promise((resolve, reject) => {
         const socket = net.connect(${port}, '127.0.0.1', () => socket.write(request));
         socket.once('data', (chunk) => resolve(String(chunk).startsWith('HTTP/1.1 200')));
         socket.on('error', reject);
       });
       async function open(count, atOnce) {
         let known = 0;
         for (let i = 0; i < count; i += atOnce) known += (await Promise.all(Array.from({ length: atOnce }, ask))).filter(Boolean).length;
         return known;
       }
       process.stdin.on('data', async () => console.log(await open(100, 10)));
       open(5000, 50).then(console.log);`,
    );
    assert.equal(await client.line(), '5000');
    /* What blocks the loop does so in every round; a collection of garbage falls into one or another. */
    const longest: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      turns.longestMs();
      client.child.stdin?.write('more\n');
      assert.equal(await client.line(), '100');
      longest.push(turns.longestMs());
    }
    const median = longest.toSorted((a, b) => a - b)[(ROUNDS - 1) / 2] ?? Infinity;
    t.diagnostic(
      `longest turns with 5,000 connections and more: ${longest.map((ms) => ms.toFixed(1)).join(', ')} ms of CPU`,
    );
    assert.ok(median < 10, `turns of the loop took ${longest.join(', ')} ms of CPU`);
    client.child.kill('SIGKILL');
    await once(client.child, 'exit');
  });

  test('a client of another user that sent its request and closed before the look-up is nobody', async (t) => {
    const { postern, upstream } = await startScene(t, { more: GRANTS });
    const port = portOf(postern.url);
    runAs(
      t,
      ALICE,
      `const net = require('node:net');
       const body = JSON.stringify({ model: 'gpt-5', messages: [{ role: 'user', content: 'hello' }] });
       const socket = net.connect(${port}, '127.0.0.1', () => {
         socket.write('POST /v1/chat/completions HTTP/1.1\\r\\nHost: localhost:${port}\\r\\ncontent-type: application/json\\r\\ncontent-length: ' + body.length + '\\r\\n\\r\\n' + body);
         socket.destroy();
       });`,
    );
    await eventually(
      () => postern.logLines.find((line) => line.includes('connection_owner_unknown')) ?? null,
      'the request is refused',
    );
    assert.equal(upstream.requests.length, 0);
  });
});
