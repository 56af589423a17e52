/**
 * A node's life with its control server: connect, log in, follow the network map, say where we may be
 * reached, and all of it again when the connection is lost. The last map stays in use meanwhile.
 */
import { AppError, describeError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Secret } from '../../base/secret.ts';
import { X25519PrivateKey } from '../../crypto/index.ts';
import { applyMapResponse, expireKeys, type NetmapUpdate } from './apply-map-response.ts';
import { answerPing } from './answer-ping.ts';
import {
  CAPABILITY_VERSION,
  connectControl,
  type ControlConnection,
  fetchControlKey,
} from './control-connection.ts';
import { type ControlUrl, parseControlUrl } from './control-url.ts';
import {
  type ControlErrorCode,
  controlError,
  isControlError,
  RateLimited,
  RefusedByControl,
} from './errors.ts';
import { endpointsJson, type HostFacts, hostinfoJson, type NetFacts, NO_NET_FACTS } from './host-facts.ts';
import { formatKeyText, type KeyHex } from './key-text.ts';
import { readMapMessages } from './map-stream.ts';
import type { Netmap, NetmapChanges } from './netmap.ts';
import type { NodeState } from './node-state.ts';
import type { Sleep, StreamDialer } from './ports.ts';
import { readMapResponse } from './read-map-response.ts';
import { register, type RegisterAnswer } from './register.ts';
import { RetryDelay } from './retry-delay.ts';

/** Silence after which a map stream is taken for dead; the server speaks every minute. */
const WATCHDOG_MS = 120_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How long a login by hand may take before it is asked for anew. */
const FOLLOWUP_TIMEOUT_MS = 900_000;
const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 60_000;
/** A stream that lived this long was no failure to connect. */
const STEADY_MS = 30_000;
/** Changes of endpoints come in bursts. */
const LITE_DELAY_MS = 100;
/** `setTimeout` takes no more. */
const TIMER_MAX_MS = 0x7fffffff;
const NO_CHANGES: NetmapChanges = {
  self: false,
  peersChanged: [],
  peersRemoved: [],
  users: false,
  filters: false,
  derpMap: false,
  dns: false,
};
/** How logging out is written: an expiry long ago. */
const LOGGED_OUT = new Date(123_000);
/** After this many wrong turns in one login (expired keys, stale URLs) something is wrong with the server. */
const LOGIN_STEPS_MAX = 8;

export type ControlState =
  | 'connecting'
  /** Someone has to visit the URL of the last `login_url`. */
  | 'needs_login'
  | 'running'
  /** The connection is lost and being made again; the last map, if any, stays. */
  | 'offline'
  /** Ended for good: `problem` says why. */
  | 'stopped';

export type ControlEvent =
  | { readonly type: 'state'; readonly state: ControlState; readonly problem: AppError | null }
  | { readonly type: 'login_url'; readonly url: string }
  /** The WireGuard key to use from now on; `state` is to be kept before anything else is done with it. */
  | { readonly type: 'node_key'; readonly state: NodeState }
  | ({ readonly type: 'netmap' } & NetmapUpdate)
  /** Parts of a message that were malformed and left out. */
  | { readonly type: 'left_out'; readonly count: number };

export interface ControlClientOptions {
  readonly controlUrl: string;
  readonly state: NodeState;
  /** Keeps a new state; a rejection stops the client, for a key that is not kept is lost. */
  readonly saveState: (state: NodeState) => Promise<void>;
  /** Used when the device is not registered yet, or its key has expired. */
  readonly authKey: Secret | null;
  readonly isEphemeral: boolean;
  readonly host: HostFacts;
  /** Public disco key of this run. */
  readonly discoKey: KeyHex;
  readonly dialer: StreamDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
  /** Must not throw. */
  readonly onEvent: (event: ControlEvent) => void;
}

/** Codes that trying again does not cure. */
const FINAL: readonly ControlErrorCode[] = [
  'control_invalid_setting',
  'control_login_refused',
  'control_tailnet_lock',
  'control_closed',
];

export class ControlClient {
  readonly #options: ControlClientOptions;
  readonly #url: ControlUrl;
  readonly #life = new AbortController();
  readonly #retry: RetryDelay;
  #state: NodeState;
  #net: NetFacts = NO_NET_FACTS;
  #netmap: Netmap | null = null;
  #connection: ControlConnection | null = null;
  #running: Promise<void> | null = null;
  #liteWanted = false;
  #liteRunning = false;
  #expiryTimer: ReturnType<typeof setTimeout> | undefined;
  #needsNewKey = false;
  readonly #seenPings: string[] = [];

  /** @throws AppError<ControlErrorCode> for a bad control URL, or a state of another control server */
  constructor(options: ControlClientOptions) {
    this.#url = parseControlUrl(options.controlUrl);
    if (options.state.controlUrl !== options.controlUrl) {
      throw controlError(
        'control_invalid_setting',
        'the state of the network node belongs to another control server: use another state folder, or the server it joined',
      );
    }
    this.#options = options;
    this.#state = options.state;
    this.#retry = new RetryDelay({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS, random: options.random });
  }

  get netmap(): Netmap | null {
    return this.#netmap;
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Begins; what happens comes as events. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** How this node may be reached from now on; sent soon, and again after every new connection. */
  setNetFacts(net: NetFacts): void {
    this.#net = net;
    this.#liteWanted = true;
    void this.#sendLite();
  }

  /** Takes a new node key at the next login, and logs in now. For renewing a key before it expires. */
  renewKey(): void {
    this.#needsNewKey = true;
    this.#connection?.close();
  }

  /**
   * Leaves the network: the server expires this key, or forgets an ephemeral device. Ends the client.
   * @throws AppError<ControlErrorCode> if the server could not be told
   */
  async logout(signal: AbortSignal): Promise<void> {
    const connection = this.#connection ?? (await this.#connect(signal));
    try {
      await this.#register(connection, { expiry: LOGGED_OUT, signal });
      await this.#keep({ ...this.#state, isRegistered: false, previousNodeKey: null });
    } finally {
      connection.close();
      await this.close();
    }
  }

  /** Ends the client without logging out. Never hangs: every wait in it takes the signal. */
  async close(): Promise<void> {
    this.#life.abort();
    clearTimeout(this.#expiryTimer);
    this.#connection?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, onEvent, sleep } = this.#options;
    for (;;) {
      onEvent({ type: 'state', state: 'connecting', problem: null });
      const begun = clock.monotonicMs();
      const problem = await this.#session().then(
        () => null,
        (error: unknown) => asControlError(error),
      );
      this.#connection?.close();
      this.#connection = null;
      if (this.#life.signal.aborted || (problem !== null && FINAL.includes(problem.code))) {
        onEvent({ type: 'state', state: 'stopped', problem: this.#life.signal.aborted ? null : problem });
        return;
      }
      onEvent({ type: 'state', state: 'offline', problem });
      if (clock.monotonicMs() - begun > STEADY_MS) this.#retry.reset();
      const delayMs = problem instanceof RateLimited ? problem.retryAfterMs : this.#retry.next();
      await sleep(delayMs, this.#life.signal).catch(() => undefined);
    }
  }

  /** One connection, from its beginning to its end. */
  async #session(): Promise<void> {
    const connection = await this.#connect(this.#life.signal);
    this.#connection = connection;
    await this.#login(connection);
    this.#liteWanted = true;
    await this.#sendLite();
    await this.#follow(connection);
  }

  async #connect(signal: AbortSignal): Promise<ControlConnection> {
    const { dialer, random } = this.#options;
    /* Asked anew each time: a server that was set up again has another key. */
    const controlKey = await fetchControlKey({ dialer, url: this.#url, signal });
    return connectControl(
      { dialer, url: this.#url, machineKey: this.#state.machineKey, random, signal },
      controlKey,
    );
  }

  /** Until the server has confirmed our node key. */
  async #login(connection: ControlConnection): Promise<void> {
    const { authKey } = this.#options;
    if (this.#needsNewKey) await this.#newNodeKey();
    let useAuthKey = authKey !== null && !this.#state.isRegistered;
    let isAuthKeySpent = false;
    let followup: string | null = null;
    for (let step = 0; step < LOGIN_STEPS_MAX; step += 1) {
      const waitsFor: string | null = followup;
      const answer = await this.#askLogin(connection, { followup: waitsFor, useAuthKey });
      switch (answer.type) {
        case 'registered':
          if (!this.#state.isRegistered || this.#state.previousNodeKey !== null) {
            await this.#keep({ ...this.#state, isRegistered: true, previousNodeKey: null });
          }
          return;
        case 'refused':
          /* A device that was here before asks a person, where its auth key was good for one login only. */
          if (useAuthKey && this.#state.previousNodeKey !== null) {
            useAuthKey = false;
            isAuthKeySpent = true;
            break;
          }
          throw controlError(
            'control_login_refused',
            `the control server refused this device: ${answer.why}`,
          );
        case 'key_expired':
          this.#showExpired();
          await this.#newNodeKey();
          useAuthKey = authKey !== null && !isAuthKeySpent;
          followup = null;
          break;
        case 'login':
          if (authKey !== null && !useAuthKey && !isAuthKeySpent) {
            useAuthKey = true;
            break;
          }
          followup = answer.url;
          this.#options.onEvent({ type: 'login_url', url: answer.url });
          this.#options.onEvent({ type: 'state', state: 'needs_login', problem: null });
          break;
        case 'stale':
          /* Once, from the start: it may have been approved, or there is a new URL. */
          followup = null;
          break;
      }
    }
    throw controlError('control_protocol', 'the control server does not come to an end with the login');
  }

  async #askLogin(
    connection: ControlConnection,
    { followup, useAuthKey }: { followup: string | null; useAuthKey: boolean },
  ): Promise<RegisterAnswer | { readonly type: 'stale' }> {
    const timeoutMs = followup === null ? REQUEST_TIMEOUT_MS : FOLLOWUP_TIMEOUT_MS;
    const signal = AbortSignal.any([this.#life.signal, AbortSignal.timeout(timeoutMs)]);
    try {
      return await this.#register(connection, { followup, useAuthKey, signal });
    } catch (error) {
      const isGone = error instanceof RefusedByControl && error.status >= 400 && error.status < 500;
      if (followup !== null && (isGone || (signal.aborted && !this.#life.signal.aborted)))
        return { type: 'stale' };
      if (isGone && error.status !== 408) {
        throw controlError('control_login_refused', error.message, { cause: error });
      }
      if (signal.aborted && !this.#life.signal.aborted) {
        throw controlError('control_timed_out', 'the control server did not answer the login in time', {
          cause: error,
        });
      }
      throw error;
    }
  }

  #register(
    connection: ControlConnection,
    ask: { followup?: string | null; useAuthKey?: boolean; expiry?: Date; signal: AbortSignal },
  ): Promise<RegisterAnswer> {
    const { authKey, host, isEphemeral } = this.#options;
    return register(connection, {
      url: this.#url,
      host,
      isEphemeral,
      nodeKey: this.#nodeKeyHex(),
      oldNodeKey: this.#state.previousNodeKey?.publicKey.bytes.toString('hex') ?? null,
      authKey: ask.useAuthKey === true ? authKey : null,
      followup: ask.followup ?? null,
      expiry: ask.expiry ?? null,
      signal: ask.signal,
    });
  }

  #nodeKeyHex(): KeyHex {
    return this.#state.nodeKey.publicKey.bytes.toString('hex');
  }

  async #newNodeKey(): Promise<void> {
    const { nodeKey, previousNodeKey, isRegistered } = this.#state;
    await this.#keep({
      ...this.#state,
      nodeKey: X25519PrivateKey.generate(this.#options.random),
      previousNodeKey: isRegistered ? nodeKey : previousNodeKey,
      isRegistered: false,
    });
    this.#needsNewKey = false;
    this.#options.onEvent({ type: 'node_key', state: this.#state });
  }

  async #keep(state: NodeState): Promise<void> {
    await this.#options.saveState(state);
    this.#state = state;
  }

  /** The map stream, until it ends. */
  async #follow(connection: ControlConnection): Promise<void> {
    const ending = new AbortController();
    const signal = AbortSignal.any([this.#life.signal, ending.signal]);
    const watchdog = setTimeout(() => ending.abort(), WATCHDOG_MS).unref();
    try {
      const stream = await connection.stream({
        path: `${this.#url.basePath}/machine/map`,
        nodeKeys: [formatKeyText('nodekey', this.#nodeKeyHex())],
        body: JSON.stringify({ ...this.#mapRequest(), Stream: true, Compress: 'zstd' }),
        signal,
      });
      let session: Netmap | null = null;
      for await (const json of readMapMessages(stream, () => watchdog.refresh())) {
        session = this.#receive(connection, json, session);
      }
    } catch (error) {
      if (ending.signal.aborted) {
        throw controlError('control_timed_out', `the control server was silent for ${WATCHDOG_MS / 1000} s`);
      }
      throw error instanceof AppError
        ? error
        : controlError('control_unreachable', 'the map stream broke', { cause: error });
    } finally {
      clearTimeout(watchdog);
    }
  }

  #receive(connection: ControlConnection, json: Buffer, session: Netmap | null): Netmap | null {
    const { clock, onEvent } = this.#options;
    const response = readMapResponse(json);
    if (response === null) throw controlError('control_protocol', 'a map response is no JSON object');
    if (response.ping !== null && this.#isNewPing(response.ping.url)) {
      void answerPing(connection, response.ping, this.#life.signal);
    }
    if (response.isKeepAlive) return session;
    if (response.leftOut > 0) onEvent({ type: 'left_out', count: response.leftOut });
    const update = applyMapResponse(response, { session, shown: this.#netmap, now: clock.now() });
    this.#show(update);
    if (session === null) onEvent({ type: 'state', state: 'running', problem: null });
    if (update.netmap.self.isExpired) {
      this.#needsNewKey = true;
      throw controlError('control_unreachable', 'the key of this device has expired: logging in again');
    }
    return update.netmap;
  }

  #show(update: NetmapUpdate): void {
    this.#netmap = update.netmap;
    this.#options.onEvent({ type: 'netmap', ...update });
    this.#watchExpiry();
  }

  /** A login may be where we hear first that our key has expired: the map in use says so from now on. */
  #showExpired(): void {
    const { netmap } = this;
    if (netmap === null || netmap.self.isExpired) return;
    const marked = { ...netmap, self: { ...netmap.self, isExpired: true } };
    this.#show({ netmap: marked, changes: { ...NO_CHANGES, self: true } });
  }

  /** Keys expire without a word of the server. */
  #watchExpiry(): void {
    clearTimeout(this.#expiryTimer);
    const { netmap } = this;
    if (netmap === null || this.#life.signal.aborted) return;
    const { clock } = this.#options;
    const { nextAt } = expireKeys(netmap, clock.now());
    if (nextAt === null) return;
    const look = (): void => {
      const expired = expireKeys(netmap, clock.now());
      if (expired.netmap !== netmap) this.#show({ netmap: expired.netmap, changes: expired.changes });
      else this.#watchExpiry();
      if (expired.netmap.self.isExpired) this.renewKey();
    };
    const delayMs = Math.min(Math.max(nextAt - clock.now(), 0) + 1, TIMER_MAX_MS);
    this.#expiryTimer = setTimeout(look, delayMs).unref();
  }

  #isNewPing(url: string): boolean {
    if (this.#seenPings.includes(url)) return false;
    this.#seenPings.push(url);
    if (this.#seenPings.length > 32) this.#seenPings.shift();
    return true;
  }

  #mapRequest(): object {
    return {
      Version: CAPABILITY_VERSION,
      KeepAlive: true,
      NodeKey: formatKeyText('nodekey', this.#nodeKeyHex()),
      DiscoKey: formatKeyText('discokey', this.#options.discoKey),
      Hostinfo: hostinfoJson(this.#options.host, this.#net),
    };
  }

  /** Says where we may be reached. One at a time; what changes meanwhile goes with the next. */
  async #sendLite(): Promise<void> {
    if (this.#liteRunning || this.#connection === null) return;
    this.#liteRunning = true;
    try {
      while (this.#liteWanted) {
        const connection = this.#connection;
        if (connection === null) return;
        await this.#options.sleep(LITE_DELAY_MS, this.#life.signal);
        this.#liteWanted = false;
        await connection.request({
          path: `${this.#url.basePath}/machine/map`,
          nodeKeys: [formatKeyText('nodekey', this.#nodeKeyHex())],
          body: JSON.stringify({ ...this.#mapRequest(), ...endpointsJson(this.#net), OmitPeers: true }),
          signal: AbortSignal.any([this.#life.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
        });
      }
    } catch {
      /* The connection is at fault or its server; the stream notices, and the next connection begins with this. */
      this.#liteWanted = true;
    } finally {
      this.#liteRunning = false;
    }
  }
}

function asControlError(error: unknown): AppError<ControlErrorCode> {
  return isControlError(error)
    ? error
    : controlError('control_invalid_setting', `the network node cannot go on: ${describeError(error)}`, {
        cause: error,
      });
}
