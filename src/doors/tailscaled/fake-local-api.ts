/**
 * A tailscaled for tests: speaks the LocalAPI over a Unix socket as the real daemon does
 * (ipn/localapi: Host and Origin checks, 404 text of whois, tab-indented JSON, one JSON object a
 * line on the bus, peers on the bus only for watchers that asked by mask).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FakePeer {
  readonly Node: Record<string, unknown>;
  readonly UserProfile: Record<string, unknown>;
  readonly CapMap: Record<string, unknown> | null;
}

export interface FakeTailscaled {
  readonly socketPath: string;
  /** By address, or by `ip:port` as the proxy map of a userspace daemon has them. */
  readonly peers: Map<string, FakePeer>;
  readonly ownAddresses: string[];
  /** PEM by name; a name that is there is one of the CertDomains. */
  readonly certificates: Map<string, { readonly cert: string; readonly key: string }>;
  /** Names of certificates that were asked for. */
  readonly certificateCalls: string[];
  /** As a daemon without a network device. */
  userspace: boolean;
  readonly whoisCalls: string[];
  /** Watchers on the bus now. */
  readonly watchers: number;
  /** Resolves when a watcher is there. */
  watched(): Promise<void>;
  /** Sends a notification to all watchers. */
  notify(notification: Record<string, unknown>): void;
  /** Answers nothing any more, without closing. */
  hang: boolean;
  /** Answers whois with this status and text instead. */
  broken: { readonly status: number; readonly body: string } | null;
  close(): Promise<void>;
}

const NOTIFY_PEER_CHANGES = 1 << 12;
const NOTIFY_RATE_LIMIT = 1 << 8;

/** Ids beyond 2^53 are written as the daemon writes them: bare digits. */
function goJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_, inner: unknown) => (typeof inner === 'bigint' ? `@@${inner}@@` : inner),
    '\t',
  ).replaceAll(/"@@(\d+)@@"/g, '$1');
}

/** At a path of its own, or at one where a daemon is expected. */
export async function startFakeTailscaled(at?: string): Promise<FakeTailscaled> {
  const folder = mkdtempSync(join(tmpdir(), 'tailscaled-'));
  const socketPath = at ?? join(folder, 'tailscaled.sock');
  const watchers = new Map<ServerResponse, number>();
  let onWatcher: () => void = () => {};

  const whois = (url: URL, res: ServerResponse): void => {
    const addr = url.searchParams.get('addr') ?? '';
    fake.whoisCalls.push(addr);
    if (fake.broken !== null) return void res.writeHead(fake.broken.status).end(fake.broken.body);
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(addr);
    if (match === null) return void res.writeHead(400).end("invalid 'addr' parameter\n");
    const peer = fake.peers.get(match[1] ?? match[2] ?? '') ?? fake.peers.get(addr);
    if (peer === undefined) return void res.writeHead(404).end('no match for IP:port\n');
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(goJson(peer));
  };

  const certificate = (url: URL, res: ServerResponse): void => {
    const name = url.pathname.slice('/localapi/v0/cert/'.length);
    fake.certificateCalls.push(name);
    const pair = fake.certificates.get(name);
    if (url.searchParams.get('type') !== 'pair')
      return void res.writeHead(400).end('this test needs the pair\n');
    if (pair === undefined) return void res.writeHead(500).end(`invalid domain "${name}"\n`);
    res.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end(pair.key + pair.cert);
  };

  const watch = (url: URL, res: ServerResponse): void => {
    const mask = Number(url.searchParams.get('mask') ?? 0);
    if ((mask & NOTIFY_RATE_LIMIT) !== 0)
      return void res.writeHead(500).end('this test needs prompt notifications');
    res.writeHead(200, { 'Content-Type': 'application/json' });
    res.write(`${JSON.stringify({ Version: '1.103.0', SessionID: 'x', State: 6, NetMap: null })}\n`);
    watchers.set(res, mask);
    res.on('close', () => watchers.delete(res));
    onWatcher();
  };

  const handle = (req: IncomingMessage, res: ServerResponse): void => {
    if (fake.hang) return;
    const { host, origin, referer } = req.headers;
    if (host !== 'local-tailscaled.sock' || origin !== undefined || referer !== undefined) {
      return void res.writeHead(403).end('invalid localapi request\n');
    }
    const url = new URL(req.url ?? '', 'http://local-tailscaled.sock');
    switch (url.pathname) {
      case '/localapi/v0/whois':
        return whois(url, res);
      case '/localapi/v0/status':
        return void res.end(
          goJson({
            Version: '1.103.0',
            BackendState: 'Running',
            TUN: !fake.userspace,
            CertDomains: fake.certificates.size === 0 ? null : [...fake.certificates.keys()],
            TailscaleIPs: fake.ownAddresses,
            Self: { DNSName: 'gateway.tail1.ts.net.', TailscaleIPs: fake.ownAddresses },
          }),
        );
      case '/localapi/v0/watch-ipn-bus':
        return watch(url, res);
      default:
        if (url.pathname.startsWith('/localapi/v0/cert/')) return certificate(url, res);
        return void res.writeHead(404).end('404 page not found\n');
    }
  };

  const server = http.createServer(handle);
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });

  const fake: FakeTailscaled = {
    socketPath,
    peers: new Map(),
    certificates: new Map(),
    certificateCalls: [],
    userspace: false,
    ownAddresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
    whoisCalls: [],
    hang: false,
    broken: null,
    get watchers() {
      return watchers.size;
    },
    watched: () =>
      new Promise((resolve) => {
        if (watchers.size > 0) resolve();
        else onWatcher = resolve;
      }),
    notify(notification) {
      const isAboutPeers = 'PeersChanged' in notification || 'PeersRemoved' in notification;
      for (const [res, mask] of watchers) {
        if (isAboutPeers && (mask & NOTIFY_PEER_CHANGES) === 0) continue;
        res.write(`${JSON.stringify({ Version: '1.103.0', NetMap: null, ...notification })}\n`);
      }
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
  return fake;
}

export interface FakePersonOptions {
  readonly address: string;
  readonly stableId?: string;
  readonly userId?: number | bigint;
  readonly login?: string;
  readonly node?: Record<string, unknown>;
  readonly profile?: Record<string, unknown>;
  readonly caps?: Record<string, unknown> | null;
}

/** A peer as whois tells it. */
export function person(options: FakePersonOptions): FakePeer {
  const userId = options.userId ?? 7001;
  const stableId = options.stableId ?? 'nAlice1CNTRL';
  const prefix = `${options.address}/${options.address.includes(':') ? 128 : 32}`;
  return {
    Node: {
      ID: 5001,
      StableID: stableId,
      Name: 'laptop.tail1.ts.net.',
      User: userId,
      Key: 'nodekey:0000000000000000000000000000000000000000000000000000000000000000',
      KeyExpiry: '2099-01-01T00:00:00Z',
      Addresses: [prefix],
      AllowedIPs: [prefix],
      Hostinfo: { OS: 'linux' },
      Created: '2026-01-01T00:00:00Z',
      MachineAuthorized: true,
      ComputedName: 'laptop',
      ComputedNameWithHost: 'laptop',
      ...options.node,
    },
    UserProfile: {
      ID: userId,
      LoginName: options.login ?? 'alice@example.com',
      DisplayName: 'Alice',
      ProfilePicURL: 'https://x/',
      ...options.profile,
    },
    CapMap: options.caps ?? null,
  };
}

/** A tagged device: the daemon gives the placeholder profile of all tagged devices. */
export function tagged(address: string, stableId: string, tags: readonly string[]): FakePeer {
  return person({
    address,
    stableId,
    userId: 2_387_438_001,
    login: 'tagged-devices',
    node: { Tags: tags },
    profile: { DisplayName: 'Tagged Devices' },
  });
}
