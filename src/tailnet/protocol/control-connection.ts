/**
 * One connection to a control server: the server's key, the upgrade, the Noise handshake, HTTP/2
 * inside. Many requests run over it; when it ends, all of them fail.
 */
import type http2 from 'node:http2';
import type { Random } from '../../base/random.ts';
import {
  createNoiseProtocol,
  NoiseInitiator,
  type X25519PrivateKey,
  X25519PublicKey,
} from '../../crypto/index.ts';
import { controlPrologue, encodeInitiation } from './control-records.ts';
import { overHttp2 } from './control-http2.ts';
import { ControlStream } from './control-stream.ts';
import type { ControlUrl } from './control-url.ts';
import { controlError, RefusedByControl } from './errors.ts';
import { getSmall, upgrade } from './http-upgrade.ts';
import { type KeyHex, parseKeyText } from './key-text.ts';
import type { StreamDialer } from './ports.ts';

/**
 * What this node claims to be able to do (tailcfg.CapabilityVersion). 125 is that of Tailscale 1.88: high
 * enough for current servers, and below the versions that oblige a node to what is left out here
 * (seamless renewal 126, disco keys over TSMP 144). Peer relays (120) are optional for a peer.
 */
export const CAPABILITY_VERSION = 125;

const CONNECT_TIMEOUT_MS = 20_000;
const KEY_ANSWER_MAX_BYTES = 4096;

export interface ControlConnectionOptions {
  readonly dialer: StreamDialer;
  readonly url: ControlUrl;
  readonly machineKey: X25519PrivateKey;
  readonly random: Random;
  readonly signal: AbortSignal;
}

export interface ControlRequest {
  /** Absolute, with the control URL's own path in front where the protocol keeps it. */
  readonly path: string;
  readonly method?: 'POST' | 'HEAD';
  readonly body: Buffer | string;
  /** Of the node that asks; a hint for load balancers. */
  readonly nodeKeys?: readonly string[];
  readonly signal: AbortSignal;
}

export interface ControlConnection {
  /**
   * The answer's body, whole and at most 1 MiB.
   * @throws AppError<ControlErrorCode>; RefusedByControl for a status that is not 200 or 204
   */
  request(request: ControlRequest): Promise<Buffer>;
  /**
   * The answer's body as it comes; its end or error is the stream's. Destroying it ends the request.
   * @throws like `request`
   */
  stream(request: ControlRequest): Promise<http2.ClientHttp2Stream>;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly ended: Promise<void>;
  close(): void;
}

/**
 * The server's public key by `GET /key`.
 * @throws AppError<ControlErrorCode>
 */
export async function fetchControlKey(
  options: Omit<ControlConnectionOptions, 'machineKey' | 'random'>,
): Promise<KeyHex> {
  const { status, body } = await getSmall({
    ...options,
    target: options.url.target,
    path: `${options.url.basePath}/key?v=${CAPABILITY_VERSION}`,
    timeoutMs: CONNECT_TIMEOUT_MS,
    maxBytes: KEY_ANSWER_MAX_BYTES,
  });
  if (status !== 200) throw new RefusedByControl('/key', status, body.toString('utf8'));
  const answer = parseJson(body);
  const key = parseKeyText('mkey', Object(answer)['publicKey']);
  if (key === null) {
    throw controlError(
      'control_protocol',
      `${options.url.origin} is no control server: its /key has no publicKey`,
    );
  }
  return key;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

/**
 * Connects and makes the handshake with the server that has `controlKey`.
 * @throws AppError<ControlErrorCode>
 */
export async function connectControl(
  options: ControlConnectionOptions,
  controlKey: KeyHex,
): Promise<ControlConnection> {
  const handshake = new NoiseInitiator({
    protocol: createNoiseProtocol('IK', controlPrologue(CAPABILITY_VERSION)),
    localStatic: options.machineKey,
    peer: { publicKey: X25519PublicKey.fromBytes(Buffer.from(controlKey, 'hex')) },
    random: options.random,
  });
  const message = handshake.writeMessage(Buffer.alloc(0));
  if (message === null) throw controlError('control_protocol', 'the control server has a key that is none');
  const { stream, head } = await upgrade({
    ...options,
    target: options.url.target,
    method: 'POST',
    path: '/ts2021',
    upgrade: 'tailscale-control-protocol',
    headers: {
      'X-Tailscale-Handshake': encodeInitiation(CAPABILITY_VERSION, message).toString('base64'),
      'Content-Length': '0',
    },
    timeoutMs: CONNECT_TIMEOUT_MS,
  });
  const inside = new ControlStream({ raw: stream, head, handshake });
  inside.on('error', () => inside.destroy());
  await inside.ready(AbortSignal.any([options.signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]));
  return overHttp2(inside, options.url.host);
}
