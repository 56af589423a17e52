/**
 * The network that this gateway is a device of: which one, since when, and the gateway's door in it. From the
 * first start that is Postern's own; `postern up` takes another. A network's control server says who is who, so
 * naming one is the operator's (docs/design/0012-joining.md). One network at a time; it is joined again after a restart.
 */
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import type { OperatorSettings } from '../config/index.ts';
import type { JoinedPeer, JoinedPeers } from '../doors/index.ts';
import type { NodeEvent, NodeStatus, TailnetNode, TailnetNodeOptions } from '../tailnet/node/index.ts';
import type { HomeNetwork } from './control-home.ts';
import { createNodeDialer } from './node-dialer.ts';
import {
  isAllowed,
  type JoinErrorCode,
  joinedNothing,
  joinFolderOf,
  joinRecordFor,
  type JoinRequest,
  webAddress,
} from './node-join-request.ts';
import { forgetJoinRecord, type JoinRecord, readJoinRecord, writeJoinRecord } from './node-record.ts';
import { type JoinedListener, NodeServing } from './node-serving.ts';
import { type DeviceRoute, routeThrough } from './node-upstream.ts';

/** How the gateway stands with the network. */
export interface JoinedStatus {
  /** `off`: none was joined, or `postern down`. */
  readonly state: 'off' | Exclude<NodeStatus['state'], 'stopped'>;
  readonly loginServer: string | null;
  readonly hostname: string | null;
  /** Why it is not running. */
  readonly problem: string | null;
  readonly urls: readonly string[];
  /** Control servers that any admin may name. */
  readonly allowed: readonly string[];
  /** Null where it is off. */
  readonly node: NodeStatus | null;
}

/** The part of the node that is used here. */
export type JoinableNode = Pick<
  TailnetNode,
  | 'up'
  | 'onEvent'
  | 'listen'
  | 'peerOf'
  | 'status'
  | 'logout'
  | 'close'
  | 'dial'
  | 'lookup'
  | 'whois'
  | 'ownNames'
>;

export interface JoinedNetworkOptions {
  readonly settings: Pick<
    OperatorSettings,
    'stateDir' | 'hosts' | 'doors' | 'allowUpstream' | 'caFiles' | 'timeouts'
  >;
  readonly ownAddresses: () => readonly string[];
  readonly createNode: (options: TailnetNodeOptions) => JoinableNode;
  /** Postern's own network; null where this process carries none. */
  readonly home: Omit<HomeNetwork, 'close' | 'owner'> | null;
  /** Prints a line on the operator's terminal. */
  readonly announce: (text: string) => void;
  readonly logger: Logger;
}

interface Current {
  readonly record: JoinRecord;
  readonly node: JoinableNode;
  readonly life: AbortController;
  problem: string | null;
}

/** Telling the control server may take this long; the network is left in any case. */
const LOGOUT_TIMEOUT_MS = 10_000;

/** Where no other device can join, none has to reach the node. */
const LOOPBACK = { address4: '127.0.0.1', address6: '::1' } as const;

export class JoinedNetwork {
  readonly peers: JoinedPeers;
  readonly #options: JoinedNetworkOptions;
  readonly #folder: string;
  readonly #serving: NodeServing<JoinableNode>;
  readonly #onEnded = new Set<(peer: JoinedPeer) => void>();
  readonly #onChanged = new Set<(peer: JoinedPeer) => void>();
  #record: JoinRecord | null = null;
  #recordFault: string | null = null;
  #current: Current | null = null;
  #isClosed = false;
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: JoinedNetworkOptions) {
    this.#options = options;
    this.#folder = join(options.settings.stateDir, 'network');
    this.#serving = new NodeServing({ hosts: options.settings.hosts, logger: options.logger });
    const controlHost = (): string => (this.#record === null ? '' : new URL(this.#record.loginServer).host);
    this.peers = {
      peerOf: (socket) => this.#peerOf(socket),
      get controlHost() {
        return controlHost();
      },
      onPeerEnded: (listener) => subscribe(this.#onEnded, listener),
      onPeerChanged: (listener) => subscribe(this.#onChanged, listener),
    };
  }

  /** Joins again what was joined before, in the background. Never rejects: the rest of the gateway stands without it. */
  async resume(): Promise<void> {
    try {
      this.#record = await readJoinRecord(this.#folder);
    } catch (error) {
      this.#recordFault = describeError(error);
      this.#options.logger.error('the joined network is not known any more', { error: this.#recordFault });
      return;
    }
    if (this.#record === null) return this.#goHome();
    const record = this.#record;
    if (!record.isWanted) return;
    if (isAllowed(record, this.#allowed)) {
      this.#start(record, await this.#keyFor(record, null));
      return;
    }
    this.#recordFault = `the operator does not allow the control server ${record.loginServer} any more`;
    this.#options.logger.error('the network is not joined again', { error: this.#recordFault });
  }

  /** A gateway that was told nothing is in Postern's own network. */
  async #goHome(): Promise<void> {
    if (this.#options.home === null) return;
    try {
      await this.up({ loginServer: null, authKey: null, hostname: null, tags: null, isOperator: true });
    } catch (error) {
      this.#recordFault = describeError(error);
      this.#options.logger.error('the gateway is not in its own network', { error: this.#recordFault });
    }
  }

  /** From now on connections of the network are served. */
  serve(listener: JoinedListener): void {
    this.#serving.attach(listener);
    if (this.#current !== null) this.#listen(this.#current);
  }

  /**
   * Joins, or goes on joining; resolves when it has begun, which the status then follows. With an auth
   * key, nobody has to visit a URL. Rejects with `JoinErrorCode`, or where nothing can be kept.
   */
  up(request: JoinRequest): Promise<JoinedStatus> {
    return this.#change(async () => {
      const record = joinRecordFor(request, {
        before: this.#record,
        allowed: this.#allowed,
        home: this.#options.home?.loginServer ?? null,
      });
      const current = this.#current;
      const isElsewhere = current !== null && current.record.loginServer !== record.loginServer;
      if (isElsewhere && !this.#isHome(current.record) && isIn(current))
        throw new AppError<JoinErrorCode>(
          'network_joined',
          `this gateway is in the network of ${current.record.loginServer}; leave it first: postern down --logout`,
        );
      if (current !== null && isSameRecord(current.record, record)) {
        const { state } = current.node.status();
        const isUnderWay = state === 'running' || (state !== 'failed' && request.authKey === null);
        if (isUnderWay && current.problem === null) return this.status();
      }
      await this.#stop();
      await this.#keep(record);
      this.#record = record;
      this.#recordFault = null;
      this.#start(record, await this.#keyFor(record, request.authKey));
      return this.status();
    });
  }

  /** Leaves the network until `up`; the device stays known to it. */
  down(): Promise<JoinedStatus> {
    return this.#change(async () => {
      const record = this.#record;
      if (record === null) throw joinedNothing();
      /* First the door, then the disk: what cannot be written must not keep it open. */
      await this.#stop();
      this.#record = { ...record, isWanted: false };
      await this.#keep(this.#record);
      return this.status();
    });
  }

  /** Leaves the network for good: its control server is told to end the device's key, or the key is forgotten here. */
  logout(): Promise<JoinedStatus> {
    return this.#change(async () => {
      const record = this.#record;
      if (record === null) throw joinedNothing();
      const current = this.#current;
      this.#current = null;
      this.#serving.tellHosts(null);
      const signal = AbortSignal.timeout(LOGOUT_TIMEOUT_MS);
      const node = current?.node ?? this.#createNode(record, null);
      try {
        if (current === null) await node.up({ signal });
        await node.logout(signal);
      } catch (error) {
        this.#options.logger.warn(
          'the control server was not told of the logout; the key is forgotten here',
          {
            error: describeError(error),
          },
        );
        current?.life.abort();
        await node.close();
        await rm(this.#nodeFolder(record), { recursive: true, force: true });
      }
      /* Else the next start would go home again. */
      this.#record = this.#isHome(record) ? { ...record, isWanted: false } : null;
      await this.#keep(this.#record);
      return this.status();
    });
  }

  status(): JoinedStatus {
    const current = this.#current;
    const node = current?.node.status() ?? null;
    const problem = current?.problem ?? node?.control?.problem ?? this.#recordFault;
    return {
      state: node === null ? 'off' : current?.problem === null ? underWay(node.state) : 'failed',
      loginServer: this.#record?.loginServer ?? null,
      hostname: this.#record?.hostname ?? null,
      problem,
      urls: this.urls,
      allowed: this.#options.settings.doors.node.loginServers,
      node,
    };
  }

  /** As people write them: `http://ai.example.ts.net`. Empty while there are none. */
  get urls(): readonly string[] {
    const current = this.#current;
    const isReached = current !== null && !(this.#isHome(current.record) && this.#options.home?.isLocal);
    return isReached ? this.#serving.urlsOf(current.node) : [];
  }

  get #allowed(): readonly string[] {
    const { settings, home } = this.#options;
    return [...settings.doors.node.loginServers, ...(home === null ? [] : [home.loginServer])];
  }

  #isHome({ loginServer }: JoinRecord): boolean {
    return loginServer === this.#options.home?.loginServer;
  }

  /** Nobody has to make a key for the gateway's own network. */
  async #keyFor(record: JoinRecord, given: Secret | null): Promise<Secret | null> {
    const { home } = this.#options;
    if (given !== null || home === null || !this.#isHome(record)) return given;
    const isKnown = home.hasGateway() && (await exists(join(this.#nodeFolder(record), 'node.json')));
    return isKnown ? null : home.createKey();
  }

  /** A way to another device of the network; null where the host is none. */
  routeTo(hostname: string): DeviceRoute | null {
    const node = this.#current?.node;
    return node === undefined ? null : routeThrough(node, hostname);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#lastChange;
    await this.#stop();
  }

  async #keep(record: JoinRecord | null): Promise<void> {
    try {
      await (record === null ? forgetJoinRecord(this.#folder) : writeJoinRecord(this.#folder, record));
    } catch (cause) {
      throw new AppError<JoinErrorCode>(
        'network_state',
        `cannot write to ${this.#folder} which network this gateway is in: ${describeError(cause)}`,
        { cause },
      );
    }
  }

  #nodeFolder({ loginServer }: JoinRecord): string {
    return join(this.#folder, joinFolderOf(loginServer));
  }

  #createNode(record: JoinRecord, authKey: Secret | null): JoinableNode {
    const { settings, ownAddresses, createNode, home } = this.#options;
    const { loginServer, hostname, tags } = record;
    const isHome = home !== null && this.#isHome(record);
    return createNode({
      stateDir: this.#nodeFolder(record),
      hostname,
      controlUrl: loginServer,
      ...(authKey === null ? {} : { authKey }),
      tags,
      port: settings.doors.node.tailnetUdpPort,
      ...(isHome && home.isLocal ? LOOPBACK : {}),
      dialer: isHome ? home.dialer : createNodeDialer({ settings, loginServer, ownAddresses }),
    });
  }

  #start(record: JoinRecord, authKey: Secret | null): void {
    const { logger } = this.#options;
    const node = this.#createNode(record, authKey);
    const current: Current = {
      record,
      node,
      life: new AbortController(),
      problem: null,
    };
    this.#current = current;
    node.onEvent((event) => this.#onEvent(current, event));
    const { loginServer, hostname } = record;
    if (!this.#isHome(record)) logger.info('joining a network', { loginServer, hostname });
    void node
      .up({ signal: current.life.signal })
      .then(() => this.#listen(current))
      .catch((error: unknown) => {
        if (this.#current !== current) return;
        current.problem = error instanceof AppError ? error.message : describeError(error);
        logger.error('the network cannot be joined', { error: describeError(error) });
      });
  }

  #onEvent(current: Current, event: NodeEvent): void {
    if (this.#current !== current) return;
    switch (event.type) {
      case 'state':
        this.#tellState(current, event);
        this.#serving.tellHosts(current.node);
        break;
      case 'network':
        this.#serving.tellHosts(current.node);
        break;
      case 'peer_ended':
        for (const listener of this.#onEnded) listener(event.peer);
        break;
      case 'peer_changed':
        for (const listener of this.#onChanged) listener(event.peer);
        break;
      case 'login_url':
        this.#tellLogin(current, event.url);
        break;
    }
  }

  /** That the gateway is in its own network is nothing new. */
  #tellState({ record }: Current, { state, problem }: Extract<NodeEvent, { type: 'state' }>): void {
    if (problem === null && this.#isHome(record)) return;
    this.#options.logger.info('the joined network', {
      state,
      ...(problem === null ? {} : { problem: problem.message }),
    });
  }

  /** Whoever visits the page decides whose device this is: for the operator's eyes, not for the log. */
  #tellLogin({ record }: Current, url: string): void {
    const page = webAddress(url);
    if (page === null) return;
    this.#options.announce(`To let this gateway into the network of ${record.loginServer}, visit ${page}`);
  }

  #listen({ record, node }: Current): void {
    if (this.#current?.node !== node || !this.#serving.open(node)) return;
    if (this.#isHome(record)) return;
    const [first = record.hostname] = this.urls;
    this.#options.announce(`This gateway is in the network of ${record.loginServer}: ${first}`);
  }

  #peerOf(socket: object): JoinedPeer | null | undefined {
    const owner = this.#serving.ownerOf(socket);
    if (owner === undefined) return undefined;
    /* A connection of a network that was left is nobody's, whatever else knows its address. */
    return owner.node === this.#current?.node ? (owner.node.peerOf(owner.socket) ?? null) : null;
  }

  async #stop(): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    this.#current = null;
    this.#serving.tellHosts(null);
    current.life.abort();
    await current.node.close();
  }

  /** Changes run one after another. */
  #change<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(() => {
      if (this.#isClosed) throw joinedNothing();
      return change();
    });
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Before its state is read, a node that was told to join says that it is stopped. */
function underWay(state: NodeStatus['state']): Exclude<NodeStatus['state'], 'stopped'> {
  return state === 'stopped' ? 'starting' : state;
}

function subscribe<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** It was let in, so that leaving is a decision. */
function isIn({ node, problem }: Current): boolean {
  return problem === null && node.status().state === 'running';
}

function isSameRecord(a: JoinRecord, b: JoinRecord): boolean {
  return a.loginServer === b.loginServer && a.hostname === b.hostname && a.tags.join() === b.tags.join();
}
