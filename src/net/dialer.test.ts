import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { type TestContext, describe, test } from 'node:test';
import { AppError } from '../base/errors.ts';
import { parseCidr } from '../wire/ip.ts';
import { type DialerOptions, createDialer } from './dialer.ts';
import { TEST_AUTHORITY_CERT, TEST_CERT, TEST_KEY } from './test-certificates.ts';

function cidrs(...texts: string[]): NonNullable<ReturnType<typeof parseCidr>>[] {
  return texts.flatMap((text) => parseCidr(text) ?? []);
}

/** A dialer for a world in which every name resolves to `addresses`. */
function dialerTo(
  addresses: readonly string[],
  options: Partial<DialerOptions> = {},
): ReturnType<typeof createDialer> {
  return createDialer({
    allow: [],
    exact: [],
    ownAddresses: () => [],
    lookup: () => Promise.resolve(addresses.map((address) => ({ address }))),
    ...options,
  });
}

async function listen(t: TestContext, server: net.Server, host = '127.0.0.1', port = 0): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(port, host, resolve);
  });
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

function failure(code: string, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

describe('the guarded dialer (DESIGN section 6)', () => {
  const refused = [
    '127.0.0.1',
    '10.0.0.1',
    '192.168.1.1',
    '172.16.0.1',
    '100.64.0.1',
    '169.254.1.1',
    '169.254.169.254',
    '0.0.0.0',
    '224.0.0.1',
    '::1',
    'fd00::1',
    'fe80::1',
    'fd00:ec2::254',
    '64:ff9b::808:808',
    '64:ff9b:1::1',
    '2002:808:808::1',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '::ffff:10.0.0.1',
    '::8.8.8.8',
  ];
  for (const address of refused) {
    test(`refuses a name that leads to ${address}, and names the setting`, async () => {
      await assert.rejects(
        dialerTo([address]).dial({ protocol: 'https:', hostname: 'api.example.com', port: 443 }),
        failure('dial_refused_address', /--allow-upstream/),
      );
    });
    test(`refuses ${address} written as the host`, async () => {
      const hostname = address.includes(':') ? `[${address}]` : address;
      await assert.rejects(
        dialerTo([]).dial({ protocol: 'http:', hostname, port: 80 }),
        failure('dial_refused_address'),
      );
    });
  }

  test('refuses a public address that is an own one', async () => {
    const dialer = dialerTo(['203.0.114.7'], { ownAddresses: () => ['203.0.114.7'] });
    await assert.rejects(
      dialer.dial({ protocol: 'http:', hostname: 'x.example', port: 80 }),
      failure('dial_refused_address', /this machine/),
    );
  });

  test('opens metadata services only to an entry that names exactly that address', async () => {
    const wide = dialerTo(['169.254.169.254'], { allow: cidrs('169.254.0.0/16', '0.0.0.0/0') });
    await assert.rejects(
      wide.dial({ protocol: 'http:', hostname: 'metadata', port: 80 }),
      failure('dial_refused_address', /metadata/),
    );
  });

  test('a listed NAT64 prefix does not list what lies behind it', async () => {
    const dialer = dialerTo(['64:ff9b::10.0.0.1'], { allow: cidrs('64:ff9b::/96') });
    await assert.rejects(
      dialer.dial({ protocol: 'http:', hostname: 'x.example', port: 80 }),
      failure('dial_refused_address', /10\.0\.0\.1/),
    );
  });

  test('connects to a listed address, resolving once', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => socket.end('hello')),
    );
    let lookups = 0;
    const dialer = dialerTo([], {
      allow: cidrs('127.0.0.0/8'),
      lookup: () => {
        lookups += 1;
        /* A rebinding name: the second answer would lead elsewhere. */
        return Promise.resolve([{ address: lookups === 1 ? '127.0.0.1' : '10.9.9.9' }]);
      },
    });
    const socket = await dialer.dial({ protocol: 'http:', hostname: 'local.example', port });
    assert.equal(String(await new Promise((resolve) => socket.once('data', resolve))), 'hello');
    assert.equal(lookups, 1);
    assert.equal(socket.remoteAddress, '127.0.0.1');
  });

  test('an exact entry allows that port of that address and no other', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => socket.end()),
    );
    const dialer = dialerTo([], { exact: [{ address: '127.0.0.1', port }] });
    (await dialer.dial({ protocol: 'http:', hostname: '127.0.0.1', port })).destroy();
    await assert.rejects(
      dialer.dial({ protocol: 'http:', hostname: '127.0.0.1', port: port - 1 }),
      failure('dial_refused_address'),
    );
  });

  test('leaves out refused addresses of a name and uses the others', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => socket.end()),
    );
    const dialer = dialerTo(['10.0.0.1', '127.0.0.1'], { allow: cidrs('127.0.0.1/32') });
    const socket = await dialer.dial({ protocol: 'http:', hostname: 'mixed.example', port });
    assert.equal(socket.remoteAddress, '127.0.0.1');
    socket.destroy();
  });

  test('goes on to the next checked address when one refuses (RFC 8305)', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => socket.end()),
      '127.0.0.2',
    );
    const dialer = dialerTo(['127.0.0.1', '127.0.0.2'], { allow: cidrs('127.0.0.0/8') });
    const socket = await dialer.dial({ protocol: 'http:', hostname: 'two.example', port });
    assert.equal(socket.remoteAddress, '127.0.0.2');
    socket.destroy();
  });

  test('tries at most eight addresses of one name', async (t) => {
    const port = await listen(
      t,
      net.createServer((socket) => socket.end()),
      '127.0.0.9',
    );
    const addresses = Array.from({ length: 9 }, (_, index) => `127.0.0.${index + 1}`);
    const dialTo = (names: readonly string[]): Promise<net.Socket> =>
      dialerTo(names, { allow: cidrs('127.0.0.0/8') }).dial({
        protocol: 'http:',
        hostname: 'many.example',
        port,
      });
    await assert.rejects(dialTo(addresses), failure('dial_failed'));
    (await dialTo(addresses.slice(1))).destroy();
  });

  test('says what failed: no such name, nobody there, too slow', async (t) => {
    const broken = dialerTo([], {
      lookup: () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' })),
    });
    await assert.rejects(
      broken.dial({ protocol: 'http:', hostname: 'nowhere.example', port: 80 }),
      failure('dial_failed', /ENOTFOUND/),
    );
    const empty = dialerTo([]);
    await assert.rejects(
      empty.dial({ protocol: 'http:', hostname: 'empty.example', port: 80 }),
      failure('dial_refused_address', /no usable/),
    );
    const server = net.createServer();
    const port = await listen(t, server);
    await new Promise((resolve) => server.close(resolve));
    const local = dialerTo(['127.0.0.1'], { allow: cidrs('127.0.0.1/32') });
    await assert.rejects(
      local.dial({ protocol: 'http:', hostname: 'x.example', port }),
      failure('dial_failed', /ECONNREFUSED/),
    );
    const hanging = dialerTo([], { connectMs: 20, lookup: () => new Promise(() => {}) });
    await assert.rejects(
      hanging.dial({ protocol: 'http:', hostname: 'slow.example', port: 80 }),
      failure('dial_timeout', /20 ms/),
    );
  });

  test('a caller that leaves ends the dialling', async () => {
    const hanging = dialerTo([], { lookup: () => new Promise(() => {}) });
    const leaving = new AbortController();
    const dialled = hanging.dial({
      protocol: 'http:',
      hostname: 'slow.example',
      port: 80,
      signal: leaving.signal,
    });
    leaving.abort();
    await assert.rejects(dialled, failure('dial_failed'));
  });
});

describe('TLS of the dialer', () => {
  const start = (t: TestContext): Promise<number> =>
    listen(
      t,
      tls.createServer({ cert: TEST_CERT, key: TEST_KEY }, (socket) => socket.end('secret')),
    );

  const withAuthority = (t: TestContext): Partial<DialerOptions> => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-dialer-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'authority.pem');
    writeFileSync(file, TEST_AUTHORITY_CERT);
    return { allow: cidrs('127.0.0.0/8'), caFiles: [file] };
  };

  test('trusts an authority of caFiles, for names and for addresses', async (t) => {
    const port = await start(t);
    const dialer = dialerTo(['127.0.0.1'], withAuthority(t));
    for (const hostname of ['localhost', '127.0.0.1']) {
      const socket = await dialer.dial({ protocol: 'https:', hostname, port });
      assert.ok(socket instanceof tls.TLSSocket && socket.authorized);
      socket.destroy();
    }
  });

  test('refuses a certificate of an unknown authority', async (t) => {
    const port = await start(t);
    const dialer = dialerTo(['127.0.0.1'], { allow: cidrs('127.0.0.0/8') });
    await assert.rejects(
      dialer.dial({ protocol: 'https:', hostname: 'localhost', port }),
      failure('tls_failed', /caFiles/),
    );
  });

  test('refuses a certificate of another name', async (t) => {
    const port = await start(t);
    const dialer = dialerTo(['127.0.0.1'], withAuthority(t));
    await assert.rejects(
      dialer.dial({ protocol: 'https:', hostname: 'other.example', port }),
      failure('tls_failed', /ERR_TLS_CERT_ALTNAME_INVALID/),
    );
  });

  test('a server that does not speak TLS, or closes, is a failure and not a crash', async (t) => {
    const options = withAuthority(t);
    const plain = await listen(
      t,
      net.createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    );
    await assert.rejects(
      dialerTo(['127.0.0.1'], options).dial({ protocol: 'https:', hostname: 'localhost', port: plain }),
      failure('tls_failed'),
    );
    const closing = await listen(
      t,
      net.createServer((socket) => socket.destroy()),
    );
    await assert.rejects(
      dialerTo(['127.0.0.1'], options).dial({ protocol: 'https:', hostname: 'localhost', port: closing }),
      failure('tls_failed'),
    );
  });

  test('a handshake that never comes ends at the limit', async (t) => {
    const sockets: net.Socket[] = [];
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    const silent = await listen(
      t,
      net.createServer((socket) => sockets.push(socket)),
    );
    const dialer = dialerTo(['127.0.0.1'], { ...withAuthority(t), connectMs: 50 });
    await assert.rejects(
      dialer.dial({ protocol: 'https:', hostname: 'localhost', port: silent }),
      failure('dial_timeout'),
    );
  });
});
