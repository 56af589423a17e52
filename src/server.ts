/** The composition root: the only place that constructs and wires the parts of a running Postern. */
import { networkInterfaces, homedir, type NetworkInterfaceInfo } from 'node:os';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createApi, type Api } from './api/index.ts';
import { systemClock, type Clock } from './base/clock.ts';
import type { Logger } from './base/log.ts';
import { systemRandom, type Random } from './base/random.ts';
import type { Secret } from './base/secret.ts';
import { type Coordination, openCoordination } from './composition/control.ts';
import { firstDeviceLine } from './composition/control-first-device.ts';
import { createTailnetReachPort } from './composition/control-reach.ts';
import { createTailnetsPort } from './composition/control-view.ts';
import { createTailnetUsersPort } from './composition/sign-in-users.ts';
import { consoleFolder } from './composition/console-folder.ts';
import { createConsoleParts } from './composition/console-parts.ts';
import { publishDocumentEvents } from './composition/document-events.ts';
import { openDoors, type Doors } from './composition/doors.ts';
import { createFront } from './composition/front.ts';
import { fullCollection, releaseIdleMemory } from './composition/idle-memory.ts';
import { openListeners, type OpenListeners } from './composition/listeners.ts';
import { findLocalServers, listeningOwner } from './composition/local-servers.ts';
import {
  ensureAdmins,
  ensureStarterGrant,
  forgetAdmins,
  openState,
  type State,
} from './composition/open-state.ts';
import { openGoverning, type Governing } from './composition/governing.ts';
import { type DraftsInUse, openSimulations } from './composition/simulations.ts';
import type { Provider } from './policy/index.ts';
import { JoinedNetwork } from './composition/node-join.ts';
import { renderControl } from './composition/control-metrics.ts';
import { renderNodes } from './composition/node-metrics.ts';
import { createNetworkPort } from './composition/node-view.ts';
import { openOwnNetwork, type OwnNetwork } from './composition/node.ts';
import { openOutbound, type Outbound } from './composition/outbound.ts';
import { openRouting, renderRouting, type Routing } from './composition/routing.ts';
import { renderLoad } from './composition/load-metrics.ts';
import { statedCapture } from './composition/stated-capture.ts';
import { watchRevocations } from './composition/revocations.ts';
import { findProviders, type FoundProvider, type OperatorSettings } from './config/index.ts';
import { constantTimeEqual, sha256 } from './crypto/index.ts';
import { createEventBus, type EventBus } from './events/index.ts';
import { openDocuments, type Documents } from './gateway/documents/index.ts';
import {
  createActiveExchanges,
  createBodyBudget,
  createLargeBodies,
  listModels,
  loadOwners,
  type GatewayParts,
  type LargeBodies,
  type PosternEvents,
} from './gateway/index.ts';
import { createEcho, createPriceBook, type PriceBook } from './llm/index.ts';
import { createProviders } from './llm/providers/index.ts';
import { createRecorder } from './recorder/index.ts';
import { TailnetNode } from './tailnet/node/index.ts';

export interface StartOptions {
  readonly settings: OperatorSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** What follows is made up (`postern demo`): a mark for those who look, and nothing else. */
  readonly demo?: boolean;
  /** Forget every admin and passkey first, so that a new claim link is offered. */
  readonly resetAdmins?: boolean;
  /** Prints a line on the operator's terminal. */
  readonly announce: (text: string) => void;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Addresses of this machine that other devices reach. Default: those of its interfaces, loopback and link-local left out. */
  readonly networkAddresses?: () => readonly string[];
}

export interface RunningServer {
  /** For people and clients on this machine: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** What is open now: `127.0.0.1:8080` of this machine, `https://192.0.2.2:8080` beyond it. */
  readonly addresses: readonly string[];
  /** Of the public listener, if Postern made it: what clients must be told to trust. */
  readonly certificate: {
    /** SHA-256: `AB:CD:…`. */
    readonly fingerprint: string;
    /** PEM. */
    readonly file: string;
    /** It was made at this start. */
    readonly isNew: boolean;
  } | null;
  readonly socketPath: string | null;
  /** One-time link that makes the first admin; null once somebody administers. */
  readonly claimUrl: string | null;
  readonly providers: readonly { readonly id: string; readonly source: string }[];
  /** What was joined by `postern up` before, and is being joined again; null where nothing was. */
  readonly network: { readonly loginServer: string; readonly state: string } | null;
  /** The line by which another device joins, with a key made for that one; null once a device has joined, or where none can. */
  firstDevice(): Promise<Secret | null>;
  readonly capture: string;
  readonly warnings: readonly string[];
  /** Stops accepting, lets what runs end for `drainMs`, cuts the rest, writes what is recorded. */
  close(drainMs: number): Promise<void>;
}

/** The tailnet that this process is the gateway of, from the first start (docs/design/0016-instances.md). */
const TAILNET = 'default';
/** Bytes of request bodies held at once over all requests. */
const BODIES_HELD_MAX_BYTES = 1024 * 1024 * 1024;
/** Bytes of one answer kept for the record. */
const CAPTURE_MAX_BYTES = 16 * 1024 * 1024;

export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { settings, logger } = options;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const state = await openState({ settings, tailnet: TAILNET, clock, random, logger });
  if (options.resetAdmins === true) await forgetAdmins(state.store, TAILNET);
  const coordination = await openCoordination({
    settings,
    store: state.store,
    keyring: state.keyring,
    tailnet: TAILNET,
    networkAddresses: options.networkAddresses ?? networkAddresses,
    clock,
    random,
    logger,
  });
  await ensureStarterGrant(state.store, settings, { clock, owner: coordination.home.owner });
  await ensureAdmins(state.store, settings, clock);

  const local = await findLocalServers({ ownerOf: listeningOwner, ownUid: process.getuid?.() ?? null });
  const found = [...findProviders(options.env), ...local.map((server) => server.provider)];
  for (const provider of found) offerFoundKey(state, provider);

  const prices = createPriceBook();
  const joined = new JoinedNetwork({
    settings,
    ownAddresses,
    createNode: (node) => new TailnetNode({ ...node, version: packageVersion(), clock, random }),
    home: coordination.home,
    announce: options.announce,
    logger,
  });
  const outbound = openOutbound({
    settings,
    exact: local,
    ownAddresses,
    routeTo: (hostname) => joined.routeTo(hostname),
  });
  coordination.openSignIn(outbound.fetchSmall);
  coordination.openWebhooks(outbound.fetchSmall);
  const knownModels = ({ costBasis, kind }: Provider): readonly string[] =>
    prices.knownModels(costBasis ?? kind);
  const documents = await openDocuments({
    store: state.store,
    tailnet: TAILNET,
    source: settings.config === null ? { kind: 'store' } : { kind: 'file', path: settings.config },
    found,
    vault: state.vault,
    clock,
    logger,
    env: options.env,
    knownModels,
  });
  const ownNetwork = await openOwnNetwork({
    settings,
    store: state.store,
    tailnet: TAILNET,
    networkAddresses: options.networkAddresses ?? networkAddresses,
    clock,
    random,
    logger,
  });
  const doors = await openDoors({
    settings,
    node: ownNetwork?.node ?? null,
    joined: joined.peers,
    store: state.store,
    keyring: state.keyring,
    outbound,
    ownAddresses,
    tailnet: TAILNET,
    clock,
    random,
    logger,
  });
  const events = createEventBus<PosternEvents>((error) =>
    logger.error('an event listener failed', { error: String(error) }),
  );
  let consoleUrl = 'http://localhost/';
  const governing = await openGoverning({
    tailnet: TAILNET,
    store: state.store,
    keyring: state.keyring,
    documents,
    prices,
    events,
    settings,
    outbound,
    vault: state.vault,
    hookHttp: outbound.fetchSmall,
    peopleBehind: (tokenId) => ownersOf(doors, tokenId),
    consoleUrl: () => consoleUrl,
    clock,
    random,
    logger,
  });
  const gateway = await createGateway({
    options,
    state,
    documents,
    outbound,
    prices,
    events,
    governing,
    clock,
    random,
  });
  publishDocumentEvents(TAILNET, documents, events, clock);
  const stopWatching = watchRevocations({
    approvals: governing.approvals,
    tailnet: TAILNET,
    active: gateway.active,
    doors,
    vault: state.vault,
    documents,
    clock,
  });
  const parts = {
    options,
    state,
    documents,
    governing,
    simulations: openSimulations({
      tailnet: TAILNET,
      ownsFile: settings.config !== null,
      store: state.store,
      documents,
      found,
      knownModels,
      prices,
      doors,
      clock,
      random,
    }),
    gateway,
    doors,
    ownNetwork,
    coordination,
    joined,
    outbound,
    found,
    stopWatching,
    onConsole: (url: string) => {
      consoleUrl = url;
    },
  };
  try {
    return await serve(parts);
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
}

/** Who else may be behind a token: nobody decides about their own call through one. */
function ownersOf({ tokens }: Doors, tokenId: string): readonly string[] {
  const token = tokens.get(tokenId);
  return token === null ? [] : [token.owner, token.createdBy];
}

function offerFoundKey({ vault }: State, { id, baseUrl, header, secret, envName }: FoundProvider): void {
  if (secret === null || header === 'none') return;
  vault.addFound(id, { origin: new URL(baseUrl).origin, header, secret, source: envName });
}

function ownAddresses(): string[] {
  return interfaceAddresses().map(({ address }) => address);
}

function networkAddresses(): string[] {
  return interfaceAddresses()
    .filter(({ internal, address }) => !internal && !/^(?:fe[89ab]|169\.254\.)/i.test(address))
    .map(({ address }) => address);
}

function interfaceAddresses(): NetworkInterfaceInfo[] {
  return Object.values(networkInterfaces()).flatMap((list) => list ?? []);
}

interface GatewayInput {
  readonly options: StartOptions;
  readonly state: State;
  readonly documents: Documents;
  readonly outbound: Outbound;
  readonly prices: PriceBook;
  readonly events: EventBus<PosternEvents>;
  readonly governing: Governing;
  readonly clock: Clock;
  readonly random: Random;
}

async function createGateway(input: GatewayInput): Promise<ServerGateway> {
  const { options, state, documents, outbound, prices, clock, random } = input;
  const { settings, logger } = options;
  const routing = openRouting({ policy: documents, clock, random, logger });
  const recorder = createRecorder({ sink: state.store, clock, logger, spillFile: state.spillFile });
  return {
    clock,
    random,
    logger,
    limits: {
      bodyMaxBytes: settings.limits.bodyMaxBytes,
      captureMaxBytes: CAPTURE_MAX_BYTES,
      readerIdleMs: settings.timeouts.idleMs,
    },
    policy: documents,
    vault: state.vault,
    providers: createProviders({
      clock,
      fetchSmall: outbound.fetchProvider,
      operator: {
        env: options.env,
        homeDirectory: homedir(),
        readFile: (path) => readFile(path, 'utf8'),
        fetchAwsMetadata: settings.ambientCredentials.includes('aws') ? outbound.fetchMetadata : null,
        fetchGcpMetadata: settings.ambientCredentials.includes('gcp') ? outbound.fetchMetadata : null,
        trustedOrigins: new Set(settings.credentialOrigins),
      },
    }),
    upstreams: outbound.upstreams,
    echo: createEcho({ clock, random }),
    prices,
    owners: await loadOwners(state.store, TAILNET, logger),
    recorder,
    events: input.events,
    governing: input.governing.parts,
    health: routing.health,
    cache: routing.cache,
    routing,
    active: createActiveExchanges(),
    bodyBudget: createBodyBudget(BODIES_HELD_MAX_BYTES),
    largeBodies: createLargeBodies({ logger }),
    models: {
      list: (access) => listModels({ policy: documents.current(), access, prices, now: clock.now() }),
    },
  };
}

interface ServerGateway extends GatewayParts {
  readonly recorder: ReturnType<typeof createRecorder>;
  readonly routing: Routing;
  readonly largeBodies: LargeBodies;
}

interface ServeInput {
  readonly options: StartOptions;
  readonly state: State;
  readonly documents: Documents;
  readonly governing: Governing;
  readonly simulations: DraftsInUse;
  readonly gateway: ServerGateway;
  readonly doors: Doors;
  /** Null where the operator did not turn it on. */
  readonly ownNetwork: OwnNetwork | null;
  readonly coordination: Coordination;
  readonly joined: JoinedNetwork;
  readonly outbound: Outbound;
  readonly found: readonly FoundProvider[];
  readonly stopWatching: () => void;
  /** The address of the pages is known once the listeners are open. */
  readonly onConsole: (url: string) => void;
}

async function serve(input: ServeInput): Promise<RunningServer> {
  const { options, documents, gateway, doors, found } = input;
  const listeners = await openListeners({
    settings: options.settings,
    env: options.env,
    localApi: doors.localApi,
    ownNetwork: input.ownNetwork,
    joined: input.joined,
    protocols: input.coordination.protocols,
    networkAddresses: options.networkAddresses ?? networkAddresses,
    clock: gateway.clock,
    logger: options.logger,
  });
  input.onConsole(listeners.consoleUrl);
  const { api, claimUrl } = await createServerApi(input, listeners);
  const storedGrants = options.settings.config === null ? await input.state.store.listGrants() : [];
  listeners.serve(
    createFront({
      gateway,
      api,
      identifier: doors.identifier,
      guards: listeners.guards,
      protocols: input.coordination.protocols,
      isSecure: listeners.isSecure,
    }),
  );
  const fingerprint = listeners.certificate?.fingerprint ?? null;
  const place = listeners.publicPort === null ? null : { port: listeners.publicPort, fingerprint };
  await input.coordination.open(listeners.url, place);
  await input.joined.resume();
  const stopReleasing = releaseIdleMemory({
    activity: { underWay: () => gateway.active.count, served: () => gateway.recorder.stats().recorded },
    collect: fullCollection(),
  });
  return {
    url: listeners.url,
    get addresses() {
      return listeners.addresses();
    },
    certificate: listeners.certificate,
    socketPath: listeners.socketPath,
    claimUrl,
    providers: [...documents.current().providers.values()].map(({ id }) => ({
      id,
      source: sourceOf(id, found),
    })),
    network: networkOf(input.joined, input.coordination.home),
    firstDevice: async () => (place === null ? null : firstDeviceLine(input.coordination, TAILNET)),
    capture: statedCapture({ document: documents.current().document, storedGrants }),
    warnings: documents
      .problems()
      .filter(({ severity }) => severity !== 'note')
      .map(({ message }) => message),
    close: (drainMs) => {
      stopReleasing();
      return close(input, listeners, api, drainMs);
    },
  };
}

function networkOf(joined: JoinedNetwork, home: Coordination['home']): RunningServer['network'] {
  const { state, loginServer } = joined.status();
  const isElsewhere = loginServer !== null && loginServer !== home.loginServer;
  return isElsewhere && state !== 'off' ? { loginServer, state } : null;
}

function sourceOf(id: string, found: readonly FoundProvider[]): string {
  if (id === 'postern') return 'built-in test model';
  return found.find((provider) => provider.id === id)?.envName ?? 'document';
}

async function createServerApi(
  input: ServeInput,
  listeners: OpenListeners,
): Promise<{ readonly api: Api; readonly claimUrl: string | null }> {
  const { options, state, documents, gateway, governing, doors } = input;
  const { adminToken: given } = options.settings;
  const adminToken = given === null ? null : sha256(Buffer.from(given.reveal()));
  const pricing = gateway.prices.pricing(gateway.clock.now()).map((entry) => ({ ...entry, model: entry.id }));
  const api = createApi({
    tailnet: TAILNET,
    version: packageVersion(),
    demo: options.demo === true,
    consoleUrl: listeners.consoleUrl,
    consoleDir: consoleFolder(options.env),
    startedAt: gateway.clock.now(),
    store: state.store,
    policy: documents,
    documents,
    namesAdmin: () =>
      documents
        .current()
        .document.grants.some(({ capabilities }) => capabilities.some(({ role }) => role === 'admin')),
    isBreakGlass: (text) => adminToken !== null && constantTimeEqual(sha256(Buffer.from(text)), adminToken),
    vault: state.vault,
    tokens: doors.tokens,
    jwtDenials: doors.jwtDenials,
    ...(input.ownNetwork === null ? {} : { devices: input.ownNetwork.devices }),
    network: createNetworkPort({
      network: input.joined,
      ownUid: process.getuid?.() ?? null,
      clock: gateway.clock,
    }),
    tailnets: createTailnetsPort(input.coordination),
    control: input.coordination.admin,
    tailnetUsers: createTailnetUsersPort(input.coordination),
    tailnetReach: createTailnetReachPort(input.coordination),
    approvals: governing.apiApprovals,
    budgets: governing.apiBudgets,
    notices: governing.notices,
    openExchanges: () => gateway.active.open(),
    simulations: input.simulations,
    pricing: () => pricing,
    models: (caller) => gateway.models.list(documents.current().accessOf(caller)),
    recorder: gateway.recorder,
    bus: gateway.events,
    routing: { circuits: () => gateway.health.states(), cache: () => gateway.cache.stats() },
    ...createConsoleParts({
      settings: options.settings,
      documents,
      gateway,
      hooks: governing.hooks,
      fetchSmall: input.outbound.fetchSmall,
    }),
    moreMetrics: () =>
      renderLoad(gateway.active.count, gateway.bodyBudget.heldBytes) +
      renderRouting(gateway.health.states(), gateway.cache.stats()) +
      renderControl(input.coordination.figures()) +
      renderNodes({ own: input.ownNetwork?.node.status() ?? null, joined: input.joined.status().node }),
    mayMintRunToken: (caller) => process.platform !== 'linux' && caller.door === 'local',
    announce: options.announce,
    onRevoked: (listener) =>
      doors.onRevoked((revocation) => listener((caller) => revocation.matches(caller))),
    clock: gateway.clock,
    random: gateway.random,
    logger: options.logger,
  });
  return { api, claimUrl: (await api.offerClaim())?.url.reveal() ?? null };
}

async function close(input: ServeInput, listeners: OpenListeners, api: Api, drainMs: number): Promise<void> {
  const { gateway } = input;
  api.close();
  const closing = listeners.close(drainMs);
  /* Devices' connections do not end by themselves, and a listener waits for all. */
  await input.coordination.close();
  if (!(await gateway.active.drained(drainMs))) {
    gateway.active.cut(() => true, 'shutting_down', 'the server is stopping');
  }
  await closing;
  await closeParts(input);
}

/** All but the listeners; also what a start that fails leaves behind. */
async function closeParts(input: ServeInput): Promise<void> {
  const { state, documents, gateway, doors, outbound } = input;
  input.stopWatching();
  input.simulations.close();
  documents.close();
  await doors.close();
  await input.ownNetwork?.close();
  await input.joined.close();
  await input.coordination.close();
  await outbound.upstreams.close({ abort: true });
  gateway.routing.close();
  await gateway.largeBodies.close();
  await gateway.owners.flush();
  await gateway.recorder.close();
  await input.governing.close();
  await state.store.close();
}

/** Of the package description, one folder above this file in the sources and in the release. */
function packageVersion(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const named = typeof description === 'object' && description !== null && 'version' in description;
  return named && typeof description.version === 'string' ? description.version : 'unknown';
}
