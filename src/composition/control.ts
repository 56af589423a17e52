/**
 * The coordination server of this process (DESIGN section 4, listener `public`): tailnets that official clients
 * join, and the relay and STUN beside them. Off while nothing beyond this machine is listened on.
 */
import { userInfo } from 'node:os';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { OperatorSettings } from '../config/index.ts';
import { KEY_LABELS, type Keyring, X25519PrivateKey } from '../crypto/index.ts';
import { createRequestGuard } from '../net/index.ts';
import {
  ControlAdministration,
  ControlServer,
  type ControlStore,
  Coordinator,
} from '../tailnet/control/index.ts';
import { createRelay, StunServer } from '../tailnet/derp/server/index.ts';
import { createNetworkCompiler } from './control-policy.ts';
import { type DeviceProtocols, guardedUpgrades } from './control-upgrades.ts';
import { bracketed, hostsAt } from './host-names.ts';
import { createListenerSet, type ListenerSet } from './listener-set.ts';
import { isPublicPlain, publicAddresses, wantsPublicListener } from './public-listener.ts';

export interface Coordination {
  readonly admin: ControlAdministration;
  /** For the public listener. */
  readonly protocols: DeviceProtocols;
  /** Once the public listener is open. Rejects never: what cannot be opened is told in the log. */
  open(place: PublicPlace): Promise<void>;
  /** For `tailscale up --login-server`. */
  readonly loginServer: () => string;
  close(): Promise<void>;
}

/** What the public listener turned out to be. */
export interface PublicPlace {
  readonly port: number;
  /** SHA-256 of the certificate that Postern made, as `AB:CD:…`; null with the operator's own, or without TLS. */
  readonly fingerprint: string | null;
}

export interface CoordinationOptions {
  readonly settings: OperatorSettings;
  readonly store: ControlStore;
  readonly keyring: Keyring;
  /** Id of the tailnet that exists from the start. */
  readonly tailnet: string;
  /** Addresses of this machine that other devices reach, now. */
  readonly networkAddresses: () => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Reserved for private use, so that no name of it means anything elsewhere. */
const DOMAIN_SUFFIX = 'postern.internal';
const REGION = 900;
/** RFC 8489 section 8. */
const STUN_PORT = 3478;
/** Interfaces come and go; nothing tells of it. */
const ADDRESSES_POLL_MS = 10_000;

/** Null where nothing beyond this machine is listened on. Rejects if what the store has cannot be read. */
export async function openCoordination(options: CoordinationOptions): Promise<Coordination | null> {
  const { settings, store, keyring, clock, random, logger } = options;
  if (!wantsPublicListener(settings)) return null;
  const place = createPlace(options);
  const coordinator = await Coordinator.open({
    store,
    compiler: createNetworkCompiler(),
    relays: { current: () => place.relays },
    domainSuffix: DOMAIN_SUFFIX,
    authKeyHashKey: keyring.key(KEY_LABELS.authKeyHash),
    clock,
    random,
    logger,
  });
  const relay = createRelay({
    admission: {
      admit(nodeKey) {
        const holder = coordinator.holder(nodeKey);
        return holder === null ? null : { tailnets: [holder.tailnet.id] };
      },
    },
    clock,
    random,
  });
  coordinator.onDeviceEnd(({ nodeKey }) => relay.revoke(nodeKey));
  const control = new ControlServer({
    coordinator,
    noiseKey: X25519PrivateKey.fromBytes(keyring.key(KEY_LABELS.control)),
    publicUrl: () => place.loginServer,
    logger,
  });
  const admin = new ControlAdministration(coordinator);
  await ensureTailnet(admin, options.tailnet);
  const protocols: DeviceProtocols = {
    handleRequest: (req, res) => control.handleRequest(req, res) || relay.handleRequest(req, res),
    wantsUpgrade: ({ url = '' }) => /^\/(?:ts2021|derp)(?:\?|$)/.test(url),
    handleUpgrade(req, socket, head) {
      if (!control.handleUpgrade(req, socket, head) && !relay.handleUpgrade(req, socket, head))
        socket.destroy();
    },
  };
  const opened: { close(): Promise<unknown> }[] = [];
  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    const parts = opened.splice(0).map((part) => part.close());
    relay.close();
    await control.close();
    await Promise.all(parts);
  };
  return {
    admin,
    protocols,
    async open(where) {
      const stun = await openStun(clock, logger);
      if (stun !== null) opened.push({ close: () => Promise.resolve(stun.close()) });
      const plain = where.fingerprint === null ? null : createPlain(options, protocols);
      if (plain !== null) opened.push({ close: () => plain.set.close(0) });
      const look = async (): Promise<void> => {
        await plain?.apply(where.port + 1);
        if (!place.look({ ...where, stunPort: stun?.port ?? -1, plainPort: plain?.set.ports()[0] ?? null }))
          return;
        for (const tailnet of coordinator.tailnets()) tailnet.markAll();
      };
      await look();
      const timer = setInterval(() => void look(), ADDRESSES_POLL_MS);
      timer.unref();
      opened.push({ close: () => Promise.resolve(clearInterval(timer)) });
    },
    loginServer: () => place.loginServer,
    close: () => (closed ??= close()),
  };
}

interface Place {
  readonly loginServer: string;
  /** `tailcfg.DERPMap`. */
  readonly relays: object;
  /** True if anything is different. */
  look(now: PublicPlace & { readonly stunPort: number; readonly plainPort: number | null }): boolean;
}

/** Where this process is reached, as devices are told. */
function createPlace(options: CoordinationOptions): Place {
  const { settings } = options;
  let loginServer = '';
  let relays: object = { Regions: {} };
  let told = '';
  return {
    get loginServer() {
      return loginServer;
    },
    get relays() {
      return relays;
    },
    look({ port, fingerprint, stunPort, plainPort }) {
      const address = publicAddresses(options)[0] ?? '127.0.0.1';
      const given = settings.publicUrl === null ? null : new URL(settings.publicUrl);
      const host = given === null ? bracketed(address) : given.hostname;
      const scheme = given?.protocol ?? (isPublicPlain(settings) ? 'http:' : 'https:');
      const ports = given === null || given.port !== '' ? `:${given?.port ?? port}` : '';
      /* Clients trust no certificate that Postern made; the protocol brings its own encryption. */
      loginServer = plainPort === null ? `${scheme}//${host}${ports}` : `http://${host}:${plainPort}`;
      const node = {
        Name: `${REGION}a`,
        RegionID: REGION,
        HostName: host.replace(/^\[|\]$/g, ''),
        ...(given === null && !address.includes(':') ? { IPv4: address } : {}),
        DERPPort: given === null ? port : Number(given.port === '' ? 443 : given.port),
        STUNPort: stunPort,
        ...(fingerprint === null
          ? {}
          : { CertName: `sha256-raw:${fingerprint.replaceAll(':', '').toLowerCase()}` }),
      };
      relays = {
        Regions: {
          [REGION]: { RegionID: REGION, RegionCode: 'postern', RegionName: 'Postern', Nodes: [node] },
        },
      };
      const now = JSON.stringify(relays);
      const isChanged = now !== told;
      told = now;
      return isChanged;
    },
  };
}

interface PlainListener {
  readonly set: ListenerSet;
  apply(port: number): Promise<void>;
}

/** The control protocol without TLS, on a port of its own: nothing else is served there. */
function createPlain(options: CoordinationOptions, protocols: DeviceProtocols): PlainListener {
  const { settings, logger } = options;
  const guard = createRequestGuard({ hosts: [], scheme: 'http' });
  const set = createListenerSet({
    name: 'control',
    onRequest: (req, res) => answerPlain(protocols, guard, req, res),
    upgrades: guardedUpgrades(protocols, guard),
    limits: {},
    logger,
  });
  return {
    set,
    async apply(port) {
      const addresses = [...new Set(['127.0.0.1', ...publicAddresses(options)])];
      await set.want(addresses.map((host) => ({ host, port, tls: null })));
      const names = settings.publicUrl === null ? [] : [new URL(settings.publicUrl).hostname];
      guard.setHosts(hostsAt([...names, 'localhost', ...addresses], set.ports()));
    },
  };
}

function answerPlain(
  protocols: DeviceProtocols,
  guard: ReturnType<typeof createRequestGuard>,
  req: IncomingMessage,
  res: ServerResponse,
): void {
  const answer = guard.checkRequest({
    method: req.method ?? '',
    target: req.url ?? '',
    rawHeaders: req.rawHeaders,
    jsonWrites: false,
    linkable: true,
  });
  if (answer.ok && protocols.handleRequest(req, res)) return;
  res.writeHead(answer.ok ? 404 : answer.status, { 'content-type': 'text/plain; charset=utf-8' });
  res.end(answer.ok ? 'this port serves devices that join a network only\n' : `${answer.message}\n`);
}

/** On its usual port, or where that is taken on another; null if there is none. */
async function openStun(clock: Clock, logger: Logger): Promise<StunServer | null> {
  for (const port of [STUN_PORT, 0]) {
    try {
      return await StunServer.open({ clock, port });
    } catch (error) {
      logger.warn('STUN has no UDP port: devices find direct paths less often', {
        port,
        error: describeError(error),
      });
    }
  }
  return null;
}

/** The first tailnet, with the person who started Postern as its owner. */
async function ensureTailnet(admin: ControlAdministration, id: string): Promise<void> {
  if (admin.tailnets().length > 0) return;
  const tailnet = await admin.createTailnet({ id, name: 'default', kind: 'people' });
  const name = userInfo()
    .username.toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-');
  await admin.addUser(tailnet, {
    login: `${name === '' ? 'owner' : name}@${DOMAIN_SUFFIX}`,
    displayName: userInfo().username,
    role: 'owner',
  });
}
