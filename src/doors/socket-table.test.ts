import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { createSocketOwners } from './socket-owners.ts';
import { type Endpoints, findOwners, rowKeys } from './socket-table.ts';

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

interface Row {
  readonly local: string;
  readonly remote: string;
  readonly state?: string;
  readonly uid?: number;
  readonly inode?: number;
}

/** Rows as the kernel prints them, `sl` of any width. */
function table(rows: readonly Row[], first = 0): string {
  return (
    HEADER +
    rows
      .map(({ local, remote, state = '01', uid = 1000, inode = 51_234 }, index) => {
        const sl = String(first + index).padStart(4);
        return `${sl}: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 00000000b683b9ef 20 4 30 10 -1\n`;
      })
      .join('')
  );
}

const CLIENT = '0100007F:9C40';
const SERVER = '0100007F:1F90';
const ends: Endpoints = {
  clientAddress: '127.0.0.1',
  clientPort: 40_000,
  serverAddress: '127.0.0.1',
  serverPort: 8080,
};

function ownerIn(text: string, addressChars: 8 | 32 = 8, of = ends): number | null {
  const keys = rowKeys(of) ?? [];
  const found = new Map<string, number>();
  const wanted = {
    has: (key: string) => keys.includes(key),
    ports: new Set(keys.map((key) => key.slice(-4))),
  };
  findOwners(Buffer.from(text), addressChars, wanted, found);
  const key = keys.find((candidate) => found.has(candidate));
  return key === undefined ? null : (found.get(key) ?? null);
}

describe('the kernel’s table of sockets', () => {
  test('names the owner of the client end, matched by both endpoints', () => {
    const rows = [
      { local: SERVER, remote: CLIENT, uid: 0 },
      { local: '0100007F:9C41', remote: SERVER, uid: 1 },
      { local: CLIENT, remote: '0100007F:1F91', uid: 2 },
      { local: CLIENT, remote: '0200007F:1F90', uid: 3 },
      { local: CLIENT, remote: SERVER, uid: 1000 },
    ];
    assert.equal(ownerIn(table(rows)), 1000);
    assert.equal(ownerIn(table(rows, 123_456)), 1000, 'a table of more than 9,999 rows');
    assert.equal(ownerIn(table(rows.slice(0, 4))), null);
  });

  for (const state of ['02', '04', '05', '06', '08', '0A']) {
    test(`does not believe state ${state}: only ESTABLISHED has an owner at its end`, () => {
      assert.equal(ownerIn(table([{ local: CLIENT, remote: SERVER, state }])), null);
    });
  }

  test('does not believe the uid of a socket that belongs to nobody (inode 0 says uid 0)', () => {
    assert.equal(ownerIn(table([{ local: CLIENT, remote: SERVER, uid: 0, inode: 0 }])), null);
  });

  test('finds IPv6 and IPv4 on a two-family socket', () => {
    const v6 = { clientAddress: '::1', clientPort: 40_000, serverAddress: '::1', serverPort: 8080 };
    const loopback = '00000000000000000000000001000000';
    assert.equal(
      ownerIn(table([{ local: `${loopback}:9C40`, remote: `${loopback}:1F90`, uid: 7 }]), 32, v6),
      7,
    );
    const mapped = '0000000000000000FFFF00000100007F';
    assert.equal(ownerIn(table([{ local: `${mapped}:9C40`, remote: `${mapped}:1F90`, uid: 8 }]), 32), 8);
    const fromMapped = { ...ends, clientAddress: '::ffff:127.0.0.1', serverAddress: '::ffff:127.0.0.1' };
    assert.equal(ownerIn(table([{ local: CLIENT, remote: SERVER, uid: 9 }]), 8, fromMapped), 9);
  });

  test('endpoints that are none have no rows', () => {
    assert.equal(rowKeys({ ...ends, clientAddress: 'x' }), null);
    assert.equal(rowKeys({ ...ends, serverAddress: '::1' }), null);
  });

  test('bytes that are no table name nobody and do not throw', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), (text, bytes) => {
        assert.equal(ownerIn(text), null);
        const found = new Map<string, number>();
        findOwners(bytes, 8, { has: () => true, ports: new Set() }, found);
        findOwners(bytes, 32, { has: () => true, ports: new Set() }, found);
      }),
    );
    for (const cut of [10, 20, 60, 90, 100])
      assert.equal(ownerIn(table([{ local: CLIENT, remote: SERVER }]).slice(0, HEADER.length + cut)), null);
  });
});

describe('asking for owners', () => {
  const folderWith = (t: TestContext, tcp: string): string => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-table-'));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'tcp'), tcp);
    return folder;
  };

  test('reads the tables off the loop; many questions share a read', async (t) => {
    const rows = Array.from({ length: 5000 }, (_, i) => ({
      local: `0100007F:${(10_000 + i).toString(16).toUpperCase()}`,
      remote: SERVER,
      uid: i,
    }));
    const owners = createSocketOwners({ folder: folderWith(t, table(rows)) });
    t.after(() => owners.close());
    const answers = await Promise.all(
      rows.map((_, i) => owners.ownerOf({ ...ends, clientPort: 10_000 + i })),
    );
    assert.deepEqual(
      answers,
      rows.map(({ uid }) => uid),
    );
  });

  test('a row that is missing is nobody', async (t) => {
    const owners = createSocketOwners({ folder: folderWith(t, HEADER) });
    t.after(() => owners.close());
    assert.equal(await owners.ownerOf(ends), null);
  });

  test('more questions than may wait, or after the end, are answered with nobody', async (t) => {
    const owners = createSocketOwners({
      folder: folderWith(t, table([{ local: CLIENT, remote: SERVER }])),
      waitingMax: 1,
    });
    const asked = [owners.ownerOf(ends), owners.ownerOf(ends), owners.ownerOf(ends)];
    assert.deepEqual(await Promise.all(asked), [1000, 1000, null]);
    const late = owners.ownerOf(ends);
    await owners.close();
    assert.equal(await late, null);
    assert.equal(await owners.ownerOf(ends), null);
  });

  test('a machine without such tables knows nobody', async (t) => {
    const owners = createSocketOwners({ folder: '/nonexistent' });
    t.after(() => owners.close());
    assert.equal(await owners.ownerOf(ends), null);
  });

  test('finds this very process in the real table', { skip: process.platform !== 'linux' }, async (t) => {
    const server = net.createServer().listen(0, '127.0.0.1');
    const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const client = net.connect(address.port, '127.0.0.1');
    t.after(() => {
      client.destroy();
      server.close();
    });
    const socket = await accepted;
    const owners = createSocketOwners();
    t.after(() => owners.close());
    const real = {
      clientAddress: socket.remoteAddress ?? '',
      clientPort: socket.remotePort ?? 0,
      serverAddress: socket.localAddress ?? '',
      serverPort: socket.localPort ?? 0,
    };
    assert.equal(await owners.ownerOf(real), process.getuid?.());
    const closed = new Promise((resolve) => socket.resume().once('end', resolve));
    client.destroy();
    await closed;
    assert.equal(await owners.ownerOf(real), null, 'a client that closed before the look-up');
    socket.destroy();
  });
});
