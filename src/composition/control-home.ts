/**
 * The tailnet that exists from the start, as the gateway's own node joins it: in this process. Neither the control
 * protocol nor the relay needs a port for that, and no setting can bar the gateway from its own network.
 */
import { duplexPair, type Duplex } from 'node:stream';
import { AppError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { joinedUserPrincipal } from '../identity/index.ts';
import { createListener, type DialErrorCode } from '../net/index.ts';
import type { ControlAdministration, Tailnet } from '../tailnet/control/index.ts';
import type { TailnetNodeOptions } from '../tailnet/node/index.ts';
import type { DeviceProtocols } from './control-upgrades.ts';
import type { JoinErrorCode } from './node-join-request.ts';

type NodeDialer = NonNullable<TailnetNodeOptions['dialer']>;

/** The origin of the control server inside this process; no such host is ever looked up. */
const LOGIN_SERVER = 'http://coordination.postern.internal';
/** What the gateway's own device is tagged with: nobody's, and its key does not expire. */
export const GATEWAY_TAG = 'tag:gateway';
/** The node uses it at once. */
const KEY_LIFE_MS = 600_000;

export interface HomeNetwork {
  readonly loginServer: string;
  /** Nothing beyond this machine is listened on: no other device can join. */
  readonly isLocal: boolean;
  /** Principal of the person who started Postern; null where the first tailnet has no owner. */
  readonly owner: string | null;
  /** To the control server and the relay of this process, and nowhere else. */
  readonly dialer: NodeDialer;
  /** Whether a gateway has joined before. */
  hasGateway(): boolean;
  /** A key for one device, the gateway. Rejects with `network_off` where its tailnet was deleted. */
  createKey(): Promise<Secret>;
  close(): Promise<void>;
}

export interface HomeNetworkOptions {
  readonly admin: ControlAdministration;
  /** Id of the tailnet whose documents, keys and records the gateway has; it never joins another. */
  readonly tailnet: string;
  readonly protocols: DeviceProtocols;
  /** `host:port` of this process's relay, as the network's map names it; null where there is none. */
  readonly relayAt: () => string | null;
  readonly isLocal: boolean;
}

export function createHomeNetwork({
  admin,
  tailnet,
  protocols,
  relayAt,
  isLocal,
}: HomeNetworkOptions): HomeNetwork {
  const listener = createListener({
    onRequest(req, res) {
      if (protocols.handleRequest(req, res)) return;
      res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
      res.end('the gateway asks its own control server and relay here only\n');
    },
    wantsUpgrade: (req) => protocols.wantsUpgrade(req),
    onUpgrade: (req, socket, head) => protocols.handleUpgrade(req, socket, head),
  });
  const take = listener.feed();
  const control = new URL(LOGIN_SERVER).hostname;
  const own = (): Tailnet | null => admin.tailnets().find(({ id }) => id === tailnet) ?? null;
  const owner = own()
    ?.users()
    .find(({ role }) => role === 'owner');
  return {
    loginServer: LOGIN_SERVER,
    isLocal,
    owner: owner === undefined ? null : joinedUserPrincipal(control, String(owner.id)),
    dialer: {
      dial({ hostname, port }) {
        if (hostname === control || `${hostname}:${port}` === relayAt())
          return Promise.resolve(connect(take));
        const message = `the gateway in its own network connects to its own control server and relay only, not to ${hostname}:${port}`;
        return Promise.reject(new AppError<DialErrorCode>('dial_refused_address', message));
      },
    },
    hasGateway: () =>
      own()
        ?.nodes()
        .some(({ tags }) => tags.includes(GATEWAY_TAG)) === true,
    async createKey() {
      const home = own();
      if (home === null)
        throw new AppError<JoinErrorCode>(
          'network_off',
          'the tailnet of this gateway was deleted, and it joins no other: its documents, keys and records are that one’s',
        );
      const { text } = await admin.createAuthKey(home, {
        description: 'of the gateway in this process',
        userId: null,
        tags: [GATEWAY_TAG],
        isReusable: false,
        isEphemeral: false,
        isPreauthorized: true,
        lifeMs: KEY_LIFE_MS,
        createdBy: 'operator',
      });
      return text;
    },
    close: () => listener.close(0),
  };
}

/** Both ends of a connection that never leaves the process; TLS inside it would protect from nobody. */
function connect(take: (socket: Duplex) => void): Duplex {
  const [ours, theirs] = duplexPair();
  take(theirs);
  return ours;
}
