/**
 * A node of a private network inside this process: own addresses, listening, dialling, and knowing who
 * calls, without root, a network device or a daemon. Shaped like tsnet and Node's own `net`.
 *
 * With `controlUrl` it joins the network of a control server (Tailscale, Headscale, Postern); without,
 * its peers are added one by one (`setPeer`).
 */
import type http from 'node:http';
import type https from 'node:https';
import type tls from 'node:tls';
import { systemClock, type Clock } from '../../base/clock.ts';
import { systemRandom, type Random } from '../../base/random.ts';
import type { X25519PublicKey } from '../../crypto/index.ts';
import { parseIp } from '../../wire/ip.ts';
import type { DialOptions, NetstackServer, NetstackSocket, NetstackUdpSocket } from '../netstack/index.ts';
import { ControlledNetwork } from './controlled/controlled-network.ts';
import { joinControl } from './controlled/join-control.ts';
import { nodeError } from './errors.ts';
import {
  type Connect,
  type Connector,
  createConnector,
  createHttpAgent,
  createHttpsAgent,
} from './http-connectors.ts';
import type { NodeNetwork } from './node-network.ts';
import type { NodeListenOptions, TailnetNodeOptions, UpOptions } from './node-options.ts';
import type { NodePeer, StaticPeer } from './node-peer.ts';
import { describeStatus } from './describe-status.ts';
import type { NodeEvent, NodeStatus } from './node-status.ts';
import { PcapFile } from './pcap-file.ts';
import { PeerConnections } from './peer-connections.ts';
import { StaticNetwork } from './static-network.ts';

type OpenStack = NodeNetwork & { readonly stack: NonNullable<NodeNetwork['stack']> };

/** A farewell that takes longer is given up. */
const LOGOUT_MS = 10_000;

export class TailnetNode {
  readonly #options: TailnetNodeOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #connections = new PeerConnections();
  readonly #listeners = new Set<(event: NodeEvent) => void>();
  /** Null where a control server says who the peers are. */
  readonly #static: StaticNetwork | null;
  #network: NodeNetwork | null = null;
  #rising: Promise<void> | null = null;
  #capture: PcapFile | null = null;

  constructor(options: TailnetNodeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#static =
      options.controlUrl === undefined
        ? new StaticNetwork({
            ...options,
            hostname: this.hostname,
            clock: this.#clock,
            random: this.#random,
            ended: (peer) => {
              this.#connections.cut(peer.key);
              this.#emit({ type: 'peer_ended', peer });
            },
          })
        : null;
  }

  /**
   * Reads or makes the state, binds and starts; with a control server, joins, and resolves when there is
   * traffic. It tries for ever: give a signal for a deadline. Rejects with `node_state`,
   * `wireguard_bind`, the control server's refusal, or `node_not_up` when it was given up.
   */
  async up(options: UpOptions = {}): Promise<NodeStatus> {
    if (this.#network === null) {
      this.#rising ??= this.#open().finally(() => {
        this.#rising = null;
      });
      await this.#rising;
    }
    const network = this.#network;
    if (network instanceof ControlledNetwork) await this.#joined(network, options);
    return this.status();
  }

  async #open(): Promise<void> {
    const { controlUrl } = this.#options;
    if (this.#static !== null || controlUrl === undefined) {
      this.#network = (await this.#static?.open()) ?? null;
      return;
    }
    const network = await joinControl({
      options: { ...this.#options, controlUrl, hostname: this.hostname },
      clock: this.#clock,
      random: this.#random,
      connections: this.#connections,
      emit: (event) => this.#emit(event),
    });
    this.#network = network;
    network.start();
  }

  async #joined(network: ControlledNetwork, { signal, onLoginUrl }: UpOptions): Promise<void> {
    const done = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.#network !== network || network.state === 'stopped') {
        done.reject(nodeError('node_not_up', 'the node was closed before it was up'));
      } else if (network.state === 'running') {
        done.resolve();
      } else if (network.state === 'failed') {
        done.reject(network.problem ?? nodeError('node_not_up', 'the node cannot join its network'));
      }
    };
    const onAbort = (): void => {
      const why = network.problem === null ? '' : `: ${network.problem.message}`;
      done.reject(
        nodeError('node_not_up', `the node did not come up in time${why}`, { cause: signal?.reason }),
      );
    };
    const stop = this.onEvent((event) => {
      if (event.type === 'login_url') onLoginUrl?.(event.url);
      else if (event.type === 'state') look();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (network.loginUrl !== null) onLoginUrl?.(network.loginUrl);
      if (signal?.aborted === true) onAbort();
      else look();
      await done.promise;
    } catch (error) {
      if (signal?.aborted === true && this.#network === network) await this.close();
      throw error;
    } finally {
      stop();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Own addresses, IPv4 first. Throws `node_not_up`. */
  get addresses(): readonly string[] {
    return this.#up().addresses;
  }

  get publicKey(): X25519PublicKey {
    return this.#opened().publicKey;
  }

  get udpPort(): number {
    return this.#opened().udpPort;
  }

  /** What it is called, or would like to be: the control server may choose another name. */
  get hostname(): string {
    return (this.#options.hostname ?? 'postern').toLowerCase();
  }

  /** Names that lead here, in lower case: the full one first where there is one. */
  get ownNames(): readonly string[] {
    return this.#network?.ownNames ?? [];
  }

  /** The addresses of the static device with this number, 2 to 4,094. */
  addressesOf(index: number): readonly [string, string] {
    return this.#requireStatic().addressesOf(index);
  }

  /**
   * Adds a static peer, or changes one by its key; a changed identity cuts its connections. Throws
   * `node_peer_invalid` for a bad key, or addresses that are none, another's, or the node's own.
   */
  setPeer(given: StaticPeer): NodePeer {
    return this.#requireStatic().set(given);
  }

  /** Removes a static peer by its public key (base64 or hex): its keys are wiped and its connections cut, now. */
  removePeer(publicKey: string): boolean {
    return this.#requireStatic().remove(publicKey);
  }

  #requireStatic(): StaticNetwork {
    if (this.#static !== null) return this.#static;
    throw nodeError('node_invalid_setting', 'the control server says who the peers are: change them there');
  }

  /** Called with what happens, in order; must not throw. Returns the function that ends the subscription. */
  onEvent(listener: (event: NodeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when a peer was removed or became another; returns the function that ends the subscription. */
  onPeerEnded(listener: (peer: NodePeer) => void): () => void {
    return this.onEvent((event) => {
      if (event.type === 'peer_ended') listener(event.peer);
    });
  }

  #emit(event: NodeEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Who has this inner address; null for nobody. */
  whois(address: string): NodePeer | null {
    const ip = parseIp(address);
    return ip === null ? null : (this.#network?.whois(ip) ?? null);
  }

  /**
   * Who is at the other end of a connection, as the network says now: null if that peer is gone,
   * undefined if the connection is not of this node.
   */
  peerOf(socket: object): NodePeer | null | undefined {
    const key = this.#connections.keyOf(socket);
    return key === undefined ? undefined : (this.#network?.peerOf(key) ?? null);
  }

  /**
   * Listens on a TCP port of all own addresses. TLS over these sockets wants `allowHalfOpen`. A
   * connection that belongs to nobody is reset. Throws `EADDRINUSE`.
   */
  listen(
    port: number,
    onConnection?: (socket: NetstackSocket) => void,
    options: NodeListenOptions = {},
  ): NetstackServer {
    const network = this.#up();
    return network.stack.listen({ port, ...options }, (socket) => {
      if (onConnection !== undefined && this.#admits(network, socket)) onConnection(socket);
      else socket.resetAndDestroy();
    });
  }

  #admits(network: NodeNetwork, socket: NetstackSocket): boolean {
    const { remoteAddress = '' } = socket;
    /* The node itself may call, too; it is nobody's peer. */
    if (network.addresses.includes(remoteAddress)) return true;
    const peer = this.whois(remoteAddress);
    /* The rules may have changed since its first segment. */
    if (peer === null || !network.allows(socket)) return false;
    this.#connections.add(peer, socket, 'accepted');
    return true;
  }

  /** A connected socket; `host` is a name of the network or an address. Rejects as `net.connect` fails. */
  async dial(host: string, port: number, options?: DialOptions): Promise<NetstackSocket> {
    const socket = await this.#up().stack.dial(this.#resolve(host), port, options);
    this.#adopt(socket);
    return socket;
  }

  #adopt(socket: NetstackSocket): void {
    const peer = this.whois(socket.remoteAddress ?? '');
    if (peer !== null) this.#connections.add(peer, socket, 'dialled');
  }

  /** Takes a UDP port; absent: a random one. Throws `EADDRINUSE`. */
  bindUdp(port?: number): NetstackUdpSocket {
    return this.#up().stack.bindUdp(port === undefined ? {} : { port });
  }

  /** Addresses of a name of this network, IPv4 first; empty for an unknown one. Asks nobody. */
  lookup(name: string): readonly string[] {
    return this.#network?.resolve(name.toLowerCase().replace(/\.$/, '')) ?? [];
  }

  #resolve(host: string): string {
    return parseIp(host) === null ? (this.lookup(host)[0] ?? host) : host;
  }

  readonly #connect: Connect = (host, port) => {
    const socket = this.#up().stack.connect(this.#resolve(host), port, { allowHalfOpen: true });
    this.#adopt(socket);
    return socket;
  };

  /** For `node:http`: its connections go through this network. */
  httpAgent(options: http.AgentOptions = {}): http.Agent {
    this.#up();
    return createHttpAgent(this.#connect, options);
  }

  /** For `node:https`; certificates are verified as everywhere. */
  httpsAgent(options: https.AgentOptions = {}): https.Agent {
    this.#up();
    return createHttpsAgent(this.#connect, options);
  }

  /** For undici: `new Agent({ connect: node.connector() })`. */
  connector(options: tls.ConnectionOptions = {}): Connector {
    this.#up();
    return createConnector(this.#connect, options);
  }

  status(): NodeStatus {
    return describeStatus({
      network: this.#network,
      listed: this.#network?.peers() ?? this.#static?.listed() ?? [],
      hostname: this.hostname,
      connections: this.#connections,
      now: this.#clock.monotonicMs(),
    });
  }

  /** Writes inner packets to a new file until `close` or the returned function; for Wireshark. */
  async capturePcap(path: string): Promise<() => Promise<void>> {
    const network = this.#up();
    if (this.#capture !== null) throw nodeError('node_invalid_setting', 'packets are captured already');
    const file = await PcapFile.open(path, this.#clock);
    this.#capture = file;
    network.device.capture = (_direction, _peer, packet) => file.write(packet);
    return async () => {
      if (this.#capture !== file) return;
      this.#capture = null;
      network.device.capture = null;
      await file.close();
    };
  }

  /** Takes a new node key now, before the old one expires; without an auth key someone has to log in. */
  renewKey(): void {
    this.#requireControlled().renewKey();
  }

  /**
   * Leaves the network of the control server and closes; the state stays, for joining anew. Rejects if
   * the server could not be told: it then forgets the device when its key expires.
   */
  async logout(signal: AbortSignal = AbortSignal.timeout(LOGOUT_MS)): Promise<void> {
    const network = this.#requireControlled();
    await this.#endCapture();
    this.#network = null;
    try {
      await network.logout(signal);
    } finally {
      this.#emit({ type: 'state', state: 'stopped', problem: null });
    }
  }

  #requireControlled(): ControlledNetwork {
    if (this.#network instanceof ControlledNetwork) return this.#network;
    throw nodeError('node_not_up', 'the node is in no network of a control server');
  }

  /** Ends connections and listeners, wipes session keys. Safe to call twice. */
  async close(): Promise<void> {
    await this.#rising?.catch(() => undefined);
    const network = this.#network;
    if (network === null) return;
    this.#network = null;
    await this.#endCapture();
    await network.close();
    this.#emit({ type: 'state', state: 'stopped', problem: null });
  }

  async #endCapture(): Promise<void> {
    const capture = this.#capture;
    this.#capture = null;
    if (capture === null) return;
    if (this.#network !== null) this.#network.device.capture = null;
    await capture.close();
  }

  #opened(): NodeNetwork {
    if (this.#network === null) throw notUp();
    return this.#network;
  }

  #up(): OpenStack {
    const network = this.#opened();
    if (!hasStack(network)) throw notUp();
    return network;
  }
}

function hasStack(network: NodeNetwork): network is OpenStack {
  return network.stack !== null;
}

function notUp(): Error {
  return nodeError('node_not_up', 'the node is not up: await up() first, and not after close()');
}
