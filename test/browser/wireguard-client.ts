/** A device outside of Postern: reads a `wg-quick` configuration (wg-quick(8)) and speaks through its tunnel, as the apps do. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { json } from 'node:stream/consumers';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { hmacSha256, X25519PrivateKey, X25519PublicKey } from '../../src/crypto/index.ts';
import { UserspaceNetwork } from '../../src/tailnet/netstack/index.ts';
import { udpEndpoint, WireguardUdp } from '../../src/tailnet/wireguard/index.ts';
import { parseCidr } from '../../src/wire/ip.ts';

export interface WireguardClient {
  /** A GET of the gateway at the other end; rejects after `timeoutMs` (default 10 s) without an answer. */
  get(path: string, timeoutMs?: number): Promise<{ readonly status: number; readonly json: unknown }>;
  /** Begins a long answer and resolves once it has begun; `ended` when it was cut or is over. */
  hold(path: string): Promise<{ readonly ended: Promise<void> }>;
  close(): Promise<void>;
}

/** `privateKey` for a configuration that has none, as base64. */
export async function connectWireguard(configuration: string, privateKey?: string): Promise<WireguardClient> {
  const value = (field: string): string =>
    new RegExp(`^${field} = (.*)$`, 'm').exec(configuration)?.[1] ??
    assert.fail(`${field} in ${configuration}`);
  const routes = value('AllowedIPs').split(', ');
  const [host = '', port = ''] = value('Endpoint').split(':');
  const wireguard = await WireguardUdp.open({
    privateKey: X25519PrivateKey.fromBytes(Buffer.from(privateKey ?? value('PrivateKey'), 'base64')),
    random: systemRandom,
    clock: systemClock,
    address4: '127.0.0.1',
    address6: null,
    deliver: (_peer, packet) => network.receive(packet),
  });
  const hashKey = systemRandom.bytes(32);
  const network = new UserspaceNetwork({
    addresses: value('Address')
      .split(', ')
      .map((address) => address.replace(/\/\d+$/, '')),
    clock: systemClock,
    random: systemRandom,
    keyedHash: (data) => hmacSha256(hashKey, data),
    output: (packet) => void wireguard.send(packet),
  });
  const allowedIps = routes.map((route) => parseCidr(route) ?? assert.fail(route));
  wireguard.device.setPeer(
    {
      publicKey: X25519PublicKey.fromBytes(Buffer.from(value('PublicKey'), 'base64')),
      allowedIps,
      endpoint: udpEndpoint(host, Number(port)),
    },
    wireguard.now(),
  );
  wireguard.wake();
  const gateway = routes[0]?.replace(/\/\d+$/, '') ?? '';
  const agent = new http.Agent();
  agent.createConnection = () => network.connect(gateway, 80, { allowHalfOpen: true });
  const begin = (path: string, timeoutMs: number): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      http.get({ agent, host: gateway, path, signal }, resolve).on('error', reject);
    });
  return {
    async get(path, timeoutMs = 10_000) {
      const answer = await begin(path, timeoutMs);
      return { status: answer.statusCode ?? 0, json: await json(answer) };
    },
    async hold(path) {
      const answer = await begin(path, 60_000);
      const { promise: ended, resolve } = Promise.withResolvers<void>();
      answer.on('error', () => undefined).on('close', resolve);
      answer.resume();
      return { ended };
    },
    async close() {
      agent.destroy();
      network.close();
      await wireguard.close();
    },
  };
}
