/**
 * The coordination server of this process (DESIGN section 4): tailnets that official clients join, and the relay
 * and STUN beside them. It is there from the first start, for the gateway itself; other devices reach it once the
 * public listener is open.
 */
import { userInfo } from 'node:os';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { OperatorSettings } from '../config/index.ts';
import { KEY_LABELS, type Keyring, X25519PrivateKey } from '../crypto/index.ts';
import { createRequestGuard, type FetchSmall } from '../net/index.ts';
import {
  ControlAdministration,
  ControlServer,
  type ControlStore,
  Coordinator,
  type SignInPages,
  WebhookDelivery,
} from '../tailnet/control/index.ts';
import { createRelay, StunServer } from '../tailnet/derp/server/index.ts';
import { createHomeNetwork, type HomeNetwork } from './control-home.ts';
import { type ControlFigures, countControl } from './control-metrics.ts';
import { createControlPlace, type PublicPlace } from './control-place.ts';
import { createNetworkCompiler } from './control-policy.ts';
import { type DeviceProtocols, guardedUpgrades } from './control-upgrades.ts';
import { hostsAt } from './host-names.ts';
import { createListenerSet, type ListenerSet } from './listener-set.ts';
import { openSignIn } from './sign-in.ts';
import { publicAddresses, wantsPublicListener } from './public-listener.ts';

export interface Coordination {
  readonly admin: ControlAdministration;
  readonly coordinator: Coordinator;
  /** Ids of the operator's providers by which people sign in. */
  readonly signInProviders: readonly string[];
  /** From now on people sign in by them. Once; throws where a secret cannot be read. */
  openSignIn(fetchSmall: FetchSmall): void;
  /** From now on tailnets' webhooks are told of events. Once. */
  openWebhooks(fetchSmall: FetchSmall): void;
  /** For the listeners. */
  readonly protocols: DeviceProtocols;
  /** The tailnet that exists from the start, for the gateway to be a device of. */
  readonly home: HomeNetwork;
  /**
   * Once the listeners are open: `url` is this machine's own, `place` the public one, null where there is none.
   * Rejects never: what cannot be opened is told in the log.
   */
  open(url: string, place: PublicPlace | null): Promise<void>;
  /** For `tailscale up --login-server`. */
  readonly loginServer: () => string;
  /** For /metrics. */
  figures(): ControlFigures;
  close(): Promise<void>;
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
/** RFC 8489 section 8. */
const STUN_PORT = 3478;
/** Interfaces come and go; nothing tells of it. */
const ADDRESSES_POLL_MS = 10_000;

/** Rejects if what the store has cannot be read. */
export async function openCoordination(options: CoordinationOptions): Promise<Coordination> {
  const { store, keyring, clock, random, logger } = options;
  const place = createControlPlace(options);
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
  let signIn: SignInPages | null = null;
  const protocols: DeviceProtocols = {
    handleRequest: (req, res) =>
      signIn?.handleRequest(req, res) === true ||
      control.handleRequest(req, res) ||
      relay.handleRequest(req, res),
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
  const home = createHomeNetwork({
    admin,
    tailnet: options.tailnet,
    protocols,
    relayAt: () => place.relay,
    isLocal: !wantsPublicListener(options.settings),
  });
  opened.push(home);
  return {
    admin,
    coordinator,
    signInProviders: options.settings.signIn.providers.map(({ id }) => id),
    openSignIn(fetchSmall) {
      signIn = openSignIn({ settings: options.settings, coordinator, fetchSmall, clock, logger });
    },
    openWebhooks(fetchSmall) {
      const delivery = new WebhookDelivery({ fetch: fetchSmall, after: runLater, clock, logger });
      opened.push({ close: () => Promise.resolve(delivery.close()) });
      admin.webhooks.open((webhook, secret, event) => delivery.send(webhook, secret, event));
    },
    protocols,
    home,
    async open(url, where) {
      if (where === null) return place.stayLocal(url);
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
    figures: () => countControl(coordinator, control.counters(), relay.counters()),
    close: () => (closed ??= close()),
  };
}

function runLater(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
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
