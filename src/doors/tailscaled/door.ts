/**
 * The door `tailscaled`: peers of the network that the host's tailscaled has joined, known by its
 * whois on the connection's source. The answer is kept for the connection and checked again less
 * than a second later and whenever the daemon tells of a change, so that a removed, expired or
 * re-owned device loses its open streams within a second.
 *
 * A source that is one of this node's own addresses is a process of this machine: the door `local`
 * answers for it. A loopback source is asked too, because a tailscaled without a TUN device hands
 * its peers' connections on from loopback; for any other loopback connection whois knows nobody.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Caller } from '../../identity/caller.ts';
import { type IpAddress, classifyIp, formatIp, parseIp } from '../../wire/ip.ts';
import type { ConnectionFacts, ConnectionSocket, Door, DoorAnswer, Revocation } from '../door.ts';
import type { LocalApi } from './local-api.ts';
import { readSelf, type SelfNode } from './status.ts';
import { callerFingerprint, readWhois } from './whois.ts';

export interface TailscaledDoor extends Door {
  /** Begins to watch for changes. Without it answers are still given, but never checked again. */
  start(): void;
  /** This node as the daemon last told; null before the first answer. */
  readonly self: SelfNode | null;
  /** Checks all peers with open connections now. Never rejects. */
  recheck(): Promise<void>;
  onRevoked(listener: (revocation: Revocation) => void): () => void;
  /** The network gives a known caller other groups or capabilities than before. */
  onChanged(listener: (caller: Caller) => void): () => void;
  close(): void;
}

export interface TailscaledDoorOptions {
  readonly api: LocalApi;
  readonly tailnet: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Stable ids, names or tags of devices that carry the traffic of others. */
  readonly sharedDevices?: readonly string[];
  /** Between two checks of open connections. Default 700. */
  readonly recheckMs?: number;
}

/** A peer that could not be checked for this long (the daemon is down) is no longer believed. */
const UNCHECKED_MAX_MS = 15_000;
/** This node's own addresses are asked again after this. */
const SELF_MAX_AGE_MS = 30_000;
/** Whois questions at once, and at most this many a millisecond of the interval, so that thousands of peers do not fill a core. */
const CHECKS_AT_ONCE = 8;
const CHECK_SPACING_MS = 2;
const CALLERS_MAX = 10_000;

interface Peer {
  /** In the map of peers. */
  readonly key: string;
  /** `ip:port` of one of its connections. */
  readonly address: string;
  answer: DoorAnswer;
  checkedAt: UnixMs;
  connections: number;
}

export function createTailscaledDoor(options: TailscaledDoorOptions): TailscaledDoor {
  return new PeerBook(options);
}

class PeerBook implements TailscaledDoor {
  readonly name = 'tailscaled';
  readonly #options: TailscaledDoorOptions;
  readonly #sharedDevices: ReadonlySet<string>;
  readonly #bySocket = new WeakMap<ConnectionSocket, Peer | DoorAnswer | Promise<DoorAnswer>>();
  readonly #peers = new Map<string, Peer>();
  readonly #asking = new Map<string, Promise<Peer | DoorAnswer>>();
  readonly #callers = new Map<string, { readonly fingerprint: string; readonly answer: DoorAnswer }>();
  readonly #listeners = new Set<(revocation: Revocation) => void>();
  readonly #changeListeners = new Set<(caller: Caller) => void>();
  readonly #stop = new AbortController();
  #self: SelfNode | null = null;
  #selfAt: UnixMs = Number.NEGATIVE_INFINITY;
  #askingSelf: Promise<void> | null = null;
  #rechecking: Promise<void> | null = null;
  #recheckAgain = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: TailscaledDoorOptions) {
    this.#options = options;
    this.#sharedDevices = new Set(options.sharedDevices);
  }

  get self(): SelfNode | null {
    return this.#self;
  }

  identify(facts: ConnectionFacts): DoorAnswer | Promise<DoorAnswer> {
    const { socket } = facts;
    const known = this.#bySocket.get(socket);
    if (known !== undefined) return 'connections' in known ? known.answer : known;
    const asked = this.#lookUp(socket);
    this.#bySocket.set(socket, asked);
    return asked;
  }

  async #lookUp(socket: ConnectionSocket): Promise<DoorAnswer> {
    const { remoteAddress, remotePort, destroyed } = socket;
    const ip = remoteAddress === undefined ? null : parseIp(remoteAddress);
    if (destroyed || ip === null || remotePort === undefined) {
      return {
        kind: 'refused',
        status: 403,
        code: 'connection_owner_unknown',
        why: 'the connection is closed',
      };
    }
    try {
      await this.#freshSelf();
      const source = formatIp(ip);
      if (this.#self?.addresses.includes(source) === true)
        return { kind: 'none', why: 'the source is an own address of this machine' };
      const found = await this.#peerOf(ip, remotePort);
      return this.#keep(socket, found);
    } catch (error) {
      /* Not kept: the next request on this connection asks again. */
      this.#bySocket.delete(socket);
      return { kind: 'refused', status: 403, code: 'identity_unavailable', why: describeError(error) };
    }
  }

  #keep(socket: ConnectionSocket, found: Peer | DoorAnswer): DoorAnswer {
    this.#bySocket.set(socket, found);
    if (!('connections' in found)) return found;
    found.connections += 1;
    if (socket.destroyed) this.#leave(found);
    else socket.once('close', () => this.#leave(found));
    return found.answer;
  }

  /** A peer without connections is not checked any more. */
  #leave(peer: Peer): void {
    peer.connections -= 1;
    if (peer.connections === 0 && this.#peers.get(peer.key) === peer) this.#peers.delete(peer.key);
  }

  /** Peers are told apart by address; behind a userspace daemon all have loopback, and the port counts. */
  async #peerOf(ip: IpAddress, port: number): Promise<Peer | DoorAnswer> {
    const text = formatIp(ip);
    const address = ip.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
    const isLoopback = classifyIp(ip) === 'loopback';
    const key = isLoopback ? address : text;
    const known = this.#peers.get(key);
    if (known !== undefined) return known;
    const running = this.#asking.get(key);
    if (running !== undefined) return running;
    const asked = this.#ask(address)
      .then((answer) => {
        if (isLoopback && answer.kind === 'none') return answer;
        const peer: Peer = { key, address, answer, checkedAt: this.#options.clock.now(), connections: 0 };
        this.#peers.set(key, peer);
        this.#schedule();
        return peer;
      })
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  async #ask(address: string): Promise<DoorAnswer> {
    const { api, tailnet, clock } = this.#options;
    const answer = readWhois(await api.whois(address), {
      tailnet,
      now: clock.now(),
      sharedDevices: this.#sharedDevices,
    });
    return answer.kind === 'caller' ? this.#sameObject(answer.caller, answer) : answer;
  }

  /** An unchanged caller keeps its object, whichever address or connection it uses. */
  #sameObject(caller: Caller, answer: DoorAnswer): DoorAnswer {
    const id = caller.device?.stableId ?? caller.principal;
    const fingerprint = callerFingerprint(caller);
    const known = this.#callers.get(id);
    if (known !== undefined && known.fingerprint === fingerprint) return known.answer;
    if (known === undefined && this.#callers.size >= CALLERS_MAX) {
      const oldest = this.#callers.keys().next();
      if (oldest.done !== true) this.#callers.delete(oldest.value);
    }
    this.#callers.set(id, { fingerprint, answer });
    return answer;
  }

  #freshSelf(): Promise<void> {
    const { api, clock } = this.#options;
    if (clock.now() - this.#selfAt < SELF_MAX_AGE_MS) return Promise.resolve();
    this.#askingSelf ??= api
      .status()
      .then((status) => {
        this.#self = readSelf(status);
        this.#selfAt = clock.now();
      })
      .finally(() => {
        this.#askingSelf = null;
      });
    return this.#askingSelf;
  }

  recheck(): Promise<void> {
    if (this.#rechecking !== null) {
      /* What changed after a check began must be seen by another one. */
      this.#recheckAgain = true;
      return this.#rechecking;
    }
    this.#rechecking = this.#recheckAll().finally(() => {
      this.#rechecking = null;
    });
    return this.#rechecking;
  }

  async #recheckAll(): Promise<void> {
    do {
      this.#recheckAgain = false;
      const peers = [...this.#peers.values()];
      for (let i = 0; i < peers.length; i += CHECKS_AT_ONCE) {
        await Promise.all(peers.slice(i, i + CHECKS_AT_ONCE).map((peer) => this.#recheckPeer(peer)));
      }
    } while (this.#recheckAgain && !this.#stop.signal.aborted);
  }

  async #recheckPeer(peer: Peer): Promise<void> {
    const before = peer.answer;
    const now = this.#options.clock.now();
    try {
      peer.answer = await this.#ask(peer.address);
      peer.checkedAt = now;
    } catch (error) {
      if (now - peer.checkedAt < UNCHECKED_MAX_MS || before.kind !== 'caller') return;
      peer.answer = { kind: 'refused', status: 403, code: 'identity_unavailable', why: describeError(error) };
    }
    if (before.kind !== 'caller') return;
    const { answer } = peer;
    if (answer.kind !== 'caller') this.#revoke(before.caller, answer.why);
    else if (answer.caller.principal !== before.caller.principal)
      this.#revoke(before.caller, 'the device belongs to another now');
    else if (answer.caller !== before.caller)
      for (const listener of this.#changeListeners) listener(answer.caller);
  }

  #revoke(caller: Caller, why: string): void {
    const { principal, device } = caller;
    const revocation: Revocation = {
      door: 'tailscaled',
      why,
      matches: (other) =>
        other.door === 'tailscaled' &&
        other.principal === principal &&
        other.device?.stableId === device?.stableId,
    };
    for (const listener of this.#listeners) listener(revocation);
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onChanged(listener: (caller: Caller) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  start(): void {
    this.#freshSelf().catch((error: unknown) => {
      this.#options.logger.warn('tailscaled does not answer yet', { error: describeError(error) });
    });
    void this.#watch();
  }

  /** Keeps one watch open; while it is down the timer alone checks. */
  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    let isWarned = false;
    while (!signal.aborted) {
      try {
        await this.#options.api.watch({
          signal,
          onOpen: () => {
            isWarned = false;
          },
          onChange: () => {
            this.#selfAt = Number.NEGATIVE_INFINITY;
            void this.recheck();
          },
        });
      } catch (error) {
        if (!isWarned)
          this.#options.logger.warn('the watch on tailscaled ended', { error: describeError(error) });
        isWarned = true;
      }
      await pause(1000, signal);
    }
  }

  /** The timer runs only while there are peers to check. */
  #schedule(): void {
    if (this.#timer !== null || this.#stop.signal.aborted) return;
    const intervalMs = Math.max(this.#options.recheckMs ?? 700, this.#peers.size * CHECK_SPACING_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.recheck().then(() => {
        if (this.#peers.size > 0) this.#schedule();
      });
    }, intervalMs);
    this.#timer.unref();
  }

  close(): void {
    this.#stop.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#options.api.close();
  }
}

function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, durationMs);
    timer.unref();
    signal.addEventListener('abort', finish, { once: true });
  });
}
