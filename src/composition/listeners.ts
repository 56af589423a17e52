/** The listeners of a process and what each accepts (DESIGN section 4). */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { OperatorSettings } from '../config/index.ts';
import { restoreServeHost, type ListenerKind, type LocalApi, type SelfNode } from '../doors/index.ts';
import {
  createListener,
  createRequestGuard,
  type Listener,
  type ListenerLimits,
  loopbackHosts,
  type RequestGuard,
  socketPathFor,
} from '../net/index.ts';
import type { Front } from './front.ts';
import { type DeviceProtocols, guardedUpgrades, type ListenerUpgrades } from './control-upgrades.ts';
import { createGate, type Gate } from './gate.ts';
import { bracketed, hostsAt, withShortName } from './host-names.ts';
import {
  isPublicPlain,
  openPublicListener,
  type PublicListener,
  wantsPublicListener,
} from './public-listener.ts';
import type { JoinedNetwork } from './node-join.ts';
import type { OwnNetwork } from './node.ts';
import { openTailnetListener, type TailnetListener } from './tailnet-listener.ts';
import { followTailnet } from './tailnet-self.ts';
import { openOwnCertificate, type OwnCertificate } from './tls/own-files.ts';

export interface OpenListeners {
  /** For clients on this machine. */
  readonly url: string;
  /** For links that people open: passkeys need a name, not an address. */
  readonly consoleUrl: string;
  /** What is open now: `127.0.0.1:8080` of this machine, `https://192.0.2.2:8080` beyond it. */
  readonly addresses: () => readonly string[];
  readonly socketPath: string | null;
  /** Of the self-signed certificate of the public listener; null where there is none. */
  readonly certificate: {
    readonly fingerprint: string;
    readonly file: string;
    readonly isNew: boolean;
  } | null;
  /** Of the public listener; null where there is none. */
  readonly publicPort: number | null;
  readonly guards: Readonly<Record<ListenerKind, RequestGuard>>;
  /** The connection of this request is encrypted as its client sees it. */
  readonly isSecure: (listener: ListenerKind, req: IncomingMessage) => boolean;
  /** From now on requests are served; those that came before wait. */
  serve(front: Front): void;
  close(drainMs: number): Promise<void>;
}

export interface OpenListenersOptions {
  readonly settings: OperatorSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The host's tailscaled; null where nothing needs it. */
  readonly localApi: LocalApi | null;
  /** Postern's own network; null where it is off. */
  readonly ownNetwork: OwnNetwork | null;
  /** The network that Postern joined by itself, now or later. */
  readonly joined: JoinedNetwork;
  /** Of the coordination server. */
  readonly protocols: DeviceProtocols;
  /** Addresses of this machine that other devices reach, now. */
  readonly networkAddresses: () => readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

export async function openListeners(options: OpenListenersOptions): Promise<OpenListeners> {
  const { settings, env } = options;
  const gate = createGate();
  const { headerMaxBytes, connectionsMax } = settings.limits;
  const { headersMs, requestMs } = settings.timeouts;
  const limits = { headerMaxBytes, connectionsMax, headersMs, requestMs };
  const opened: { close(drainMs: number): Promise<void> }[] = [];
  const closeAll = async (drainMs: number): Promise<void> => {
    await Promise.all(opened.splice(0).map((listener) => listener.close(drainMs)));
  };
  try {
    const guards = createGuards(settings);
    const upgrades = guardedUpgrades(options.protocols, guards.loopback);
    const local = await openLocal(settings, env, { gate, limits, opened, upgrades });
    const names = localHosts(settings, local.port);
    guards.loopback.setHosts(names);
    guards.socket.setHosts([...names, 'localhost', 'postern']);
    const beyond = await openBeyond(options, { gate, limits, opened, port: local.port, guards });
    return {
      url: `http://${local.host}:${local.port}`,
      consoleUrl: `http://localhost:${local.port}`,
      addresses: () => [
        ...local.addresses,
        ...(options.ownNetwork?.urls ?? []),
        ...options.joined.urls,
        ...(beyond.tailnet?.urls ?? []),
        ...(beyond.open?.urls ?? []),
      ],
      socketPath: local.socketPath,
      certificate: beyond.open?.selfSigned ?? null,
      publicPort: beyond.open?.port ?? null,
      guards,
      isSecure,
      serve: (front) => gate.open(front),
      close: closeAll,
    };
  } catch (error) {
    /* A start that fails leaves nothing open behind. */
    await closeAll(0);
    throw error;
  }
}

interface Opening {
  readonly gate: Gate;
  readonly limits: Partial<ListenerLimits>;
  /** What is to be closed with the process, in any order. */
  readonly opened: { close(drainMs: number): Promise<void> }[];
}

interface LocalListeners {
  /** As in a URL. */
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
  readonly socketPath: string;
}

/** Loopback, whatever `listen` says beyond it: administration begins here. And the socket, and the one behind serve. */
async function openLocal(
  settings: OperatorSettings,
  env: OpenListenersOptions['env'],
  { gate, limits, opened, upgrades }: Opening & { readonly upgrades: ListenerUpgrades },
): Promise<LocalListeners> {
  const { listen, doors, stateDir } = settings;
  const loopback = createListener({ onRequest: gate.on('loopback'), ...upgrades, limits });
  opened.push(loopback);
  const isNamed = listen.loopback && listen.host !== 'localhost';
  const port = isNamed ? await loopback.listenTcp(listen) : await loopback.listenLoopback(listen.port);
  const socket = createListener({ onRequest: gate.on('socket'), limits });
  opened.push(socket);
  const socketPath = socketPathFor(stateDir, env);
  await socket.listenUnix(socketPath);
  const tcp: Listener[] = [loopback];
  if (doors.serve.listen !== null) {
    const onRequest = gate.on('serve');
    const serve = createListener({
      onRequest(req, res) {
        restoreServeHost(req);
        onRequest(req, res);
      },
      limits,
    });
    opened.push(serve);
    tcp.push(serve);
    if ('socketPath' in doors.serve.listen) await serve.listenUnix(doors.serve.listen.socketPath);
    else await serve.listenTcp(doors.serve.listen);
  }
  const host = isNamed ? bracketed(listen.host) : '127.0.0.1';
  return { host, port, addresses: tcp.flatMap((listener) => listener.addresses), socketPath };
}

/** Ports, and names beyond this machine, are known, and set, once the listeners are open. */
function createGuards(settings: OperatorSettings): Record<ListenerKind, RequestGuard> {
  return {
    loopback: createRequestGuard({ hosts: [], scheme: 'http' }),
    socket: createRequestGuard({ hosts: [], scheme: 'http' }),
    tailnet: createRequestGuard({ hosts: [], scheme: 'either' }),
    serve: createRequestGuard({ hosts: serveHosts(settings, null), scheme: 'either' }),
    public: createRequestGuard({ hosts: [], scheme: isPublicPlain(settings) ? 'either' : 'https' }),
  };
}

function localHosts(settings: OperatorSettings, port: number): string[] {
  const { listen } = settings;
  const own = listen.loopback && listen.host !== 'localhost' ? [`${bracketed(listen.host)}:${port}`] : [];
  return [...loopbackHosts(port), ...own, ...hostsAt(settings.hosts, [port])];
}

/** Ports on which `tailscale serve` is usually told to listen; it keeps the caller's `Host`. Others belong into `hosts`. */
const SERVE_PORTS = [80, 443, 8080, 8443, 10_000];

function serveHosts(settings: OperatorSettings, dnsName: string | null): string[] {
  return hostsAt([...settings.hosts, ...withShortName(dnsName)], SERVE_PORTS);
}

const NONE: readonly string[] = [];

interface Beyond {
  readonly tailnet: TailnetListener | null;
  readonly open: PublicListener | null;
}

/** What other devices reach: the tailnet's addresses, and the public listener. */
async function openBeyond(
  options: OpenListenersOptions,
  opening: Opening & { readonly port: number; readonly guards: Record<ListenerKind, RequestGuard> },
): Promise<Beyond> {
  const { settings, clock, logger, localApi } = options;
  const { gate, limits, opened, port, guards } = opening;
  const own = settings.tls === null ? null : await openOwn(settings.tls, logger, opened);
  /* Three networks may lead to one listener; each says which names are its own. */
  const hosts = { own: options.ownNetwork?.hosts ?? [], joined: NONE, tailscaled: NONE };
  const setTailnetHosts = (more: Partial<typeof hosts>): void => {
    Object.assign(hosts, more);
    guards.tailnet.setHosts([...hosts.own, ...hosts.joined, ...hosts.tailscaled]);
  };
  setTailnetHosts({});
  const fed = createListener({ onRequest: gate.on('tailnet'), limits });
  opened.push(fed);
  options.ownNetwork?.serve(fed);
  options.joined.serve({
    http: fed,
    certificate: own,
    onHosts: (joined) => setTailnetHosts({ joined }),
  });
  const onNames = (self: SelfNode, ports: readonly number[]): void => {
    const names = [...settings.hosts, ...withShortName(self.dnsName), ...self.addresses];
    setTailnetHosts({ tailscaled: hostsAt(names, ports) });
    if (self.userspace) guards.loopback.setHosts([...localHosts(settings, port), ...hostsAt(names, [port])]);
    guards.serve.setHosts(serveHosts(settings, self.dnsName));
  };
  let tailnet: TailnetListener | null = null;
  if (localApi !== null && settings.doors.tailscaled.enabled) {
    const onRequest = gate.on('tailnet');
    tailnet = await openTailnetListener({
      api: localApi,
      settings,
      onRequest,
      limits,
      loopbackPort: port,
      own,
      onNames,
      clock,
      logger,
    });
    opened.push(tailnet);
  } else if (localApi !== null) {
    const following = await followTailnet({ api: localApi, logger, onAnswer: (self) => onNames(self, []) });
    opened.push({ close: () => Promise.resolve(following.close()) });
  }
  if (!wantsPublicListener(settings)) return { tailnet, open: null };
  const open = await openPublicListener({
    settings,
    port,
    networkAddresses: () => {
      const ofTailnet = new Set(tailnet?.self?.addresses);
      return options.networkAddresses().filter((address) => !ofTailnet.has(address));
    },
    own,
    onRequest: gate.on('public'),
    upgrades: guardedUpgrades(options.protocols, guards.public),
    limits,
    onHosts: (hosts) => guards.public.setHosts(hosts),
    clock,
    logger,
  });
  opened.push(open);
  return { tailnet, open };
}

async function openOwn(
  files: NonNullable<OperatorSettings['tls']>,
  logger: Logger,
  opened: Opening['opened'],
): Promise<OwnCertificate> {
  const own = await openOwnCertificate({ ...files, logger });
  opened.push({ close: () => Promise.resolve(own.close()) });
  return own;
}

/** Behind serve its proxy says so: it sets the header for TLS only, and deletes what callers wrote there. */
function isSecure(listener: ListenerKind, req: IncomingMessage): boolean {
  if (listener === 'serve') return req.headers['x-forwarded-proto'] === 'https';
  return 'encrypted' in req.socket && req.socket.encrypted === true;
}
