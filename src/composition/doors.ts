/** The doors of this process, joined into one identifier, and whose rights end when. */
import { userInfo } from 'node:os';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { OperatorSettings } from '../config/index.ts';
import { KEY_LABELS, type Keyring } from '../crypto/index.ts';
import {
  createIdentifier,
  createJoinedNodeDoor,
  createJwtDenials,
  createJwtVerifier,
  createLocalApi,
  createLocalDoor,
  createLocalUsers,
  createNodeDoor,
  createServeDoor,
  createSocketOwners,
  createTailscaledDoor,
  createTokens,
  type Door,
  type Identifier,
  type JoinedPeers,
  type JwtDenials,
  type LocalApi,
  type NodePeers,
  type Revocation,
  type TailscaledDoor,
  type Tokens,
} from '../doors/index.ts';
import type { Caller } from '../identity/index.ts';
import type { Store } from '../store/index.ts';
import type { Outbound } from './outbound.ts';

export interface Doors {
  readonly identifier: Identifier;
  readonly tokens: Tokens;
  /** JWTs that are refused though they are valid. */
  readonly jwtDenials: JwtDenials;
  /** The host's tailscaled, where a door or a listener needs it. */
  readonly localApi: LocalApi | null;
  /** Called when somebody's right to be here ends; returns the function that ends the subscription. */
  onRevoked(listener: (revocation: Revocation) => void): () => void;
  /** Called when the network gives a caller other groups or capabilities than before. */
  onCallerChanged(listener: (caller: Caller) => void): () => void;
  close(): Promise<void>;
}

export interface OpenDoorsOptions {
  readonly settings: OperatorSettings;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly outbound: Outbound;
  readonly ownAddresses: () => readonly string[];
  /** Postern's own node; null where it is off. */
  readonly node: NodePeers | null;
  /** The network that Postern joined by itself, now or later. */
  readonly joined: JoinedPeers;
  readonly tailnet: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export async function openDoors(options: OpenDoorsOptions): Promise<Doors> {
  const { settings, store, tailnet, clock, random, logger } = options;
  const self = userInfo();
  // Elsewhere the system does not tell who owns a loopback connection: there the socket is the door.
  const owners = process.platform === 'linux' ? createSocketOwners() : null;
  const local = createLocalDoor({
    tailnet,
    owners,
    users: createLocalUsers({ self: { uid: self.uid, login: self.username } }),
    socketOwnerUid: self.uid,
    ownAddresses: options.ownAddresses,
    overflowUid: await readOverflowUid(),
  });
  const tokens = await createTokens({
    store,
    hashKey: options.keyring.key(KEY_LABELS.tokenHash),
    tailnet,
    clock,
    random,
    logger,
  });
  const jwtDenials = await createJwtDenials({
    store,
    tailnet,
    issuers: settings.doors.jwt.map(({ issuer }) => issuer),
    clock,
    random,
  });
  const jwt =
    settings.doors.jwt.length === 0
      ? null
      : createJwtVerifier({
          issuers: settings.doors.jwt,
          fetchJson: options.outbound.fetchJson,
          clock,
          tailnet,
          denials: jwtDenials,
        });
  const { enabled, socket } = settings.doors.tailscaled;
  const localApi =
    enabled || settings.doors.serve.listen !== null ? createLocalApi({ socketPath: socket }) : null;
  const tailscaled =
    enabled && localApi !== null ? createTailscaledDoor({ api: localApi, tailnet, clock, logger }) : null;
  tailscaled?.start();
  const node = options.node === null ? null : createNodeDoor({ peers: options.node, tailnet });
  const joined = createJoinedNodeDoor({ peers: options.joined, tailnet });
  const identifier = createIdentifier({
    doors: {
      loopback: tailscaled === null ? [local] : [peersOnLoopback(tailscaled), local],
      socket: [local],
      /* The nodes first: an address inside them may be somebody else's outside. */
      tailnet: [
        ...(node === null ? [] : [node]),
        joined,
        ...(tailscaled === null ? [] : [tailscaled, local]),
      ],
      serve: [
        createServeDoor({
          tailnet,
          /* A tailscaled without a network device has addresses that the system does not know. */
          ownAddresses: () => [...options.ownAddresses(), ...(tailscaled?.self?.addresses ?? [])],
          clock,
        }),
      ],
      public: [],
    },
    tokens,
    jwt,
    breakGlass: settings.adminToken,
    tailnet,
  });
  return {
    identifier,
    tokens,
    jwtDenials,
    localApi,
    onCallerChanged(listener) {
      const stops = [
        joined.onChanged(listener),
        ...(tailscaled === null ? [] : [tailscaled.onChanged(listener)]),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
    onRevoked(listener) {
      const stops = [
        tokens.onRevoked(listener),
        ...(jwt === null ? [] : [jwt.onRevoked(listener)]),
        ...(tailscaled === null ? [] : [tailscaled.onRevoked(listener)]),
        ...(node === null ? [] : [node.onRevoked(listener)]),
        joined.onRevoked(listener),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
    async close() {
      await tokens.close();
      tailscaled?.close();
      localApi?.close();
      await owners?.close();
    },
  };
}

/**
 * A tailscaled without a network device hands its peers' connections on to loopback, where they
 * would look like those of the daemon's own user. There, and only there, it is asked first; for
 * other connections it knows nobody, and they are `local` as ever.
 */
function peersOnLoopback(tailscaled: TailscaledDoor): Door {
  return {
    name: 'tailscaled',
    identify: (facts, rawHeaders) =>
      tailscaled.self?.userspace === true
        ? tailscaled.identify(facts, rawHeaders)
        : { kind: 'none', why: 'tailscaled hands no connections on to loopback' },
  };
}

/** The uid that the kernel shows for users that this namespace cannot name; null elsewhere than on Linux. */
async function readOverflowUid(): Promise<number | null> {
  try {
    return Number.parseInt(await readFile('/proc/sys/kernel/overflowuid', 'utf8'), 10);
  } catch {
    return null;
  }
}
