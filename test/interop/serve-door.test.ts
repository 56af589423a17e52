/**
 * The door `serve` and its listener (DESIGN sections 4 and 5) behind the real `tailscale serve`: what it
 * writes into requests, and what it does with what callers wrote there. Plain HTTP inside the tunnel:
 * Headscale gives no certificates, and has no Funnel.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, eventually } from '../scenarios/ask.ts';
import { CAPABILITY, EVERY_MODEL, type GatewayUnderTest, serveSocket, startGateway } from './gateway.ts';
import { askFrom } from './request.ts';
import { type BedUser, type TailnetBed, type TailscaleDevice, startTailnetBed } from './tailnet-bed.ts';

/** Serve's own ports, in front of the socket and of a TCP port. */
const [SOCKET_PORT, TCP_PORT] = [80, 8080];

let bed: TailnetBed;
let host: TailscaleDevice;
let alice: BedUser;
let zoe: BedUser;
let laptop: TailscaleDevice;
let phone: TailscaleDevice;
let gateway: GatewayUnderTest;
let viaTcp: GatewayUnderTest;
let origin = '';
let tcpOrigin = '';

before(async () => {
  bed = await startTailnetBed();
  alice = await bed.headscale.addUser('alice');
  zoe = await bed.headscale.addUser('zoe', 'Zoë Müller 🦊');
  host = await bed.join('gateway', { tags: ['tag:gateway'] });
  origin = `http://${host.dnsName}`;
  tcpOrigin = `${origin}:${TCP_PORT}`;
  [laptop, phone] = await Promise.all([
    bed.join('alice-laptop', { user: alice }),
    bed.join('zoe-phone', { user: zoe }),
  ]);
  await Promise.all([laptop.reach(host), phone.reach(host)]);
  const grants = [{ src: [alice.login, zoe.login], app: { [CAPABILITY]: [EVERY_MODEL] } }];
  const names = ['--tailscaled-socket', host.socketPath];
  const socket = serveSocket(host);
  gateway = await startGateway(host, { flags: ['--serve-listen', socket, ...names], grants });
  await host.mustTailscale(['serve', '--bg', `--http=${SOCKET_PORT}`, `unix:${socket}`]);
  viaTcp = await startGateway(host, { flags: ['--serve-listen', '127.0.0.1:9180', ...names], grants });
  await host.mustTailscale(['serve', '--bg', `--http=${TCP_PORT}`, 'http://127.0.0.1:9180']);
});

after(async () => {
  await viaTcp?.stop();
  await gateway?.stop();
  await bed?.close();
});

describe('behind the real `tailscale serve`', () => {
  test('the caller is the login that serve writes, in front of a socket and of a port', async () => {
    for (const [behind, at] of [
      [gateway, origin],
      [viaTcp, tcpOrigin],
    ] as const) {
      const answer = await behind.whoami(laptop.machine, at);
      assert.equal(answer.status, 200, `${at}: ${answer.text}`);
      const { principal, door, user, device } = answer.json();
      assert.deepEqual(
        { principal, door, user, device },
        {
          principal: `tailscale:login:${alice.login}`,
          door: 'serve',
          user: { id: alice.login, login: alice.login, display_name: alice.displayName },
          device: null,
        },
      );
    }
  });

  test('a name beyond ASCII arrives as it is (RFC 2047)', async () => {
    const { principal, user } = (await gateway.whoami(phone.machine, origin)).json();
    assert.equal(principal, `tailscale:login:${zoe.login}`);
    assert.equal(Object(user).display_name, 'Zoë Müller 🦊');
  });

  test('the short name, and the full one with its port, are names of this server', async () => {
    for (const at of ['http://gateway', `${origin}:80`]) {
      assert.equal((await gateway.whoami(laptop.machine, at)).status, 200, at);
    }
    for (const at of [`http://gateway:${TCP_PORT}`, tcpOrigin]) {
      assert.equal((await viaTcp.whoami(laptop.machine, at)).status, 200, at);
    }
  });

  test('a name that is not this server’s never gets an answer of ours', async () => {
    for (const [behind, at] of [
      [gateway, origin],
      [viaTcp, tcpOrigin],
    ] as const) {
      for (const name of ['evil.example', 'localhost', 'gateway.evil.example']) {
        const answer = await behind.whoami(laptop.machine, at, { headers: ['Host', name] });
        assert.ok([404, 421].includes(answer.status), `${at} as ${name}: ${answer.status} ${answer.text}`);
      }
    }
  });

  test('identity headers that a caller wrote are replaced, whatever their case and number', async () => {
    const forged = [
      ['Tailscale-User-Login', alice.login],
      ['tailscale-user-login', alice.login],
      ['TAILSCALE-USER-LOGIN', alice.login],
      ['Tailscale-User-Name', 'Alice Example'],
      ['X-Forwarded-For', laptop.addresses[0]],
      ['X-Forwarded-Host', 'evil.example'],
      ['X-Forwarded-Proto', 'https'],
      ['Tailscale-App-Capabilities', JSON.stringify({ [CAPABILITY]: [{ role: 'admin' }] })],
    ].flat();
    for (const [behind, at] of [
      [gateway, origin],
      [viaTcp, tcpOrigin],
    ] as const) {
      const answer = await behind.whoami(phone.machine, at, { headers: forged });
      assert.equal(answer.status, 200, answer.text);
      const { principal, roles } = answer.json();
      assert.deepEqual([principal, roles], [`tailscale:login:${zoe.login}`, ['user']]);
    }
  });

  test('a tagged device bears no name, so it is nobody, also if it writes one itself', async () => {
    const runner = await bed.join('runner', { tags: ['tag:runner'] });
    await runner.reach(host);
    for (const headers of [[], ['Tailscale-User-Login', alice.login]]) {
      const answer = await askFrom(runner.machine, `${origin}/v1/models`, { headers });
      assert.deepEqual(
        [answer.status, answer.headers['x-postern-reason']],
        [403, 'no_identity'],
        answer.text,
      );
    }
  });

  test('a Funnel mark that a caller writes is taken off by serve; one that arrives is refused', async () => {
    const headers = ['Tailscale-Funnel-Request', '?1'];
    assert.equal((await gateway.whoami(laptop.machine, origin, { headers })).status, 200);
    const fromFunnel = await ask('http://serve', {
      socketPath: serveSocket(host),
      path: '/v1/models',
      headers: { host: 'localhost', 'x-forwarded-host': host.dnsName, 'tailscale-funnel-request': '?1' },
    });
    assert.deepEqual([fromFunnel.status, fromFunnel.headers['x-postern-reason']], [403, 'no_identity']);
    await eventually(
      () => (gateway.postern.log().includes('funnel_refused') ? true : null),
      `it is in the log: ${gateway.postern.log()}`,
    );
  });

  test('answers stream: what the upstream sent is there before it has ended', async () => {
    for (const [behind, at, name] of [
      [gateway, origin, 'viasocket'],
      [viaTcp, tcpOrigin, 'viatcp'],
    ] as const) {
      const stream = await behind.openStream(laptop.machine, at, name);
      assert.match(String(stream.headers['content-type']), /^text\/event-stream/);
      await stream.received(stream.text().length + 500);
      assert.ok(await behind.isOpen(name), 'the upstream is still at it');
      await stream.stop();
      await behind.untilCut(name);
    }
  });

  test('a whole answer of the test model comes through', async () => {
    const answer = await gateway.chat(phone.machine, origin);
    assert.deepEqual([answer.status, answer.how], [200, 'end'], answer.text);
    assert.match(answer.text, /hello from afar/);
  });

  test('a page of another site is refused, as on every listener', async () => {
    for (const headers of [
      ['Origin', 'http://evil.example'],
      ['Origin', 'http://localhost'],
      ['Sec-Fetch-Site', 'cross-site'],
    ]) {
      const answer = await gateway.whoami(laptop.machine, origin, { headers });
      assert.deepEqual([answer.status, answer.json()['code']], [403, 'origin_foreign'], headers.join(': '));
    }
    const headers = ['Origin', origin];
    const own = await gateway.whoami(laptop.machine, origin, { headers });
    assert.equal(own.status, 200, own.text);
    const body = { model: 'postern/echo' };
    const write = await askFrom(laptop.machine, `${origin}/api/v1/explain`, { headers, body });
    assert.equal(write.status, 200, `a page of ours may write, over plain HTTP too: ${write.text}`);
  });

  test('a call from the host to its own name, as whichever user, is not that of the host’s owner', async (t) => {
    const desktop = await bed.join('alice-desktop', { user: alice });
    await laptop.reach(desktop);
    const socket = serveSocket(desktop);
    const own = await startGateway(desktop, {
      flags: ['--serve-listen', socket, '--tailscaled-socket', desktop.socketPath],
    });
    t.after(() => own.stop());
    await desktop.mustTailscale(['serve', '--bg', '--http=80', `unix:${socket}`]);
    const at = `http://${desktop.dnsName}`;
    const hers = await own.whoami(laptop.machine, at);
    assert.equal(hers.json()['principal'], `tailscale:login:${alice.login}`, 'her other device is hers');
    assert.equal((await own.whoami(desktop.machine, at)).status, 403);
    const words = ['setpriv', '--reuid', '65534', '--clear-groups', process.execPath, '-e'];
    const program = `require('node:http').get('${at}/api/v1/whoami', { agent: false }, (response) => {
      console.log(response.statusCode);
      response.resume();
    });`;
    const nobody = await desktop.machine.exec([...words, program]);
    assert.deepEqual([nobody.code, nobody.stdout.trim()], [0, '403'], nobody.stderr);
  });

  test('its headers are believed behind serve only: on loopback they make the request nobody’s', async () => {
    const { url } = gateway.postern;
    const headers = ['Tailscale-User-Login', alice.login];
    const answer = await askFrom(host.machine, `${url}/v1/models`, { headers });
    assert.deepEqual([answer.status, answer.headers['x-postern-reason']], [403, 'no_identity'], answer.text);
  });
});
