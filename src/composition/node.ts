/** Postern's own network in this process: the node, its devices, and its HTTP port (DESIGN section 5, `node`). */
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { OperatorSettings } from '../config/index.ts';
import type { Listener } from '../net/index.ts';
import type { Store } from '../store/index.ts';
import { TailnetNode } from '../tailnet/node/index.ts';
import { bracketed, hostsAt } from './host-names.ts';
import { type Devices, openDevices } from './node-devices.ts';

export interface OwnNetwork {
  readonly node: TailnetNode;
  readonly devices: Devices;
  /** `Host` values of requests through the node. */
  readonly hosts: readonly string[];
  /** As people write them. */
  readonly urls: readonly string[];
  /** From now on connections of devices go to this listener. */
  serve(listener: Listener): void;
  close(): Promise<void>;
}

export interface OpenOwnNetworkOptions {
  readonly settings: OperatorSettings;
  readonly store: Pick<Store, 'getSetting' | 'putSetting'>;
  readonly tailnet: string;
  /** Addresses of this machine that other devices reach, now. */
  readonly networkAddresses: () => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const HTTP_PORT = 80;
/** Names that resolve to the node inside. */
const NAMES = ['ai', 'postern'];

/** Null where the operator did not turn it on. Rejects if the UDP port or the state cannot be had. */
export async function openOwnNetwork(options: OpenOwnNetworkOptions): Promise<OwnNetwork | null> {
  const { settings, store, tailnet, clock, random, logger } = options;
  const { enabled, udpPort, endpoint } = settings.doors.node;
  if (!enabled) return null;
  const node = new TailnetNode({
    stateDir: join(settings.stateDir, 'node'),
    port: udpPort,
    clock,
    random,
  });
  await node.up();
  const reachedAt = (): string => {
    if (endpoint !== null) return withPort(endpoint, node.udpPort);
    return `${bracketed(options.networkAddresses()[0] ?? '127.0.0.1')}:${node.udpPort}`;
  };
  try {
    const devices = await openDevices({ node, store, tailnet, endpoint: reachedAt, clock, random });
    logger.info('the private network of this gateway is up', {
      udpPort: node.udpPort,
      addresses: node.addresses,
      devices: devices.list().length,
    });
    return {
      node,
      devices,
      hosts: hostsAt([...settings.hosts, ...NAMES, ...node.addresses], [HTTP_PORT]),
      urls: node.addresses.map((address) => `http://${bracketed(address)}`),
      serve(listener) {
        const take = listener.feed();
        node.listen(HTTP_PORT, take, { allowHalfOpen: true });
      },
      close: () => node.close(),
    };
  } catch (error) {
    await node.close();
    throw error;
  }
}

function withPort(host: string, port: number): string {
  return /:\d+$/.test(host.replace(/^\[[^\]]*\]/, '')) ? host : `${host}:${port}`;
}
