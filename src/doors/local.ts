/**
 * The door `local`: a process of this machine, known by the OS user that owns its end of the
 * connection. Over TCP the client's end is looked up in the kernel's socket table by both
 * endpoints; over the Unix socket the folder's mode (0700) says that only its owner (and root) can
 * be there, since Node gives no SO_PEERCRED. Systems that cannot tell who owns a TCP end have no
 * TCP part of this door. The answer is kept for the life of the connection.
 *
 * A connection owned by a forwarder (ssh -L, a port proxy, a container's bridge) is the
 * forwarder's; a request that bears proxy headers is refused, whoever owns the connection.
 */
import { describeError } from '../base/errors.ts';
import type { Caller } from '../identity/caller.ts';
import { isProxyHeader } from '../identity/headers.ts';
import { localPrincipal } from '../identity/principal.ts';
import { classifyIp, parseIp, sameIp } from '../wire/ip.ts';
import {
  type ConnectionFacts,
  type ConnectionSocket,
  type Door,
  type DoorAnswer,
  NO_CAPABILITIES,
} from './door.ts';
import type { LocalUsers } from './local-users.ts';
import type { SocketOwners } from './socket-owners.ts';

export interface LocalDoorOptions {
  readonly tailnet: string;
  /** Null where the system cannot tell who owns a TCP connection. */
  readonly owners: SocketOwners | null;
  readonly users: LocalUsers;
  /** Owner of the folder in which the Unix socket lies. */
  readonly socketOwnerUid: number;
  /** Addresses of this machine besides loopback: a host that calls its own tailnet address is local. */
  readonly ownAddresses: () => readonly string[];
  /**
   * The uid that stands for users this namespace cannot name (/proc/sys/kernel/overflowuid, 65534).
   * Many different users look like it, so it is nobody. Null where there is none.
   */
  readonly overflowUid: number | null;
}

/** Answers of one identity are one object. */
const CALLERS_MAX = 10_000;

export function createLocalDoor(options: LocalDoorOptions): Door {
  const known = new WeakMap<ConnectionSocket, DoorAnswer | Promise<DoorAnswer>>();
  const answers = new Map<number, DoorAnswer>();

  const answerFor = async (uid: number): Promise<DoorAnswer> => {
    const ready = answers.get(uid);
    if (ready !== undefined) return ready;
    const { login, displayName } = await options.users.userOf(uid);
    const answer: DoorAnswer = {
      kind: 'caller',
      caller: localCaller(options.tailnet, uid, login, displayName),
    };
    const raced = answers.get(uid);
    if (raced !== undefined) return raced;
    if (answers.size < CALLERS_MAX) answers.set(uid, answer);
    return answer;
  };

  const lookUp = async (facts: ConnectionFacts): Promise<DoorAnswer> => {
    if (facts.listener === 'socket') return answerFor(options.socketOwnerUid);
    const { remoteAddress, remotePort, localAddress, localPort, destroyed } = facts.socket;
    if (
      destroyed ||
      remoteAddress === undefined ||
      remotePort === undefined ||
      localAddress === undefined ||
      localPort === undefined
    ) {
      return ownerUnknown('the connection is closed');
    }
    if (!isOfThisMachine(remoteAddress, options.ownAddresses))
      return { kind: 'none', why: 'the connection comes from another machine' };
    if (options.owners === null) {
      return {
        kind: 'none',
        why: 'this system cannot tell who owns a TCP connection; the Unix socket can be used',
      };
    }
    const uid = await options.owners.ownerOf({
      clientAddress: remoteAddress,
      clientPort: remotePort,
      serverAddress: localAddress,
      serverPort: localPort,
    });
    if (uid === null) return ownerUnknown('no established connection with an owner matches both ends');
    if (uid === options.overflowUid)
      return ownerUnknown(`uid ${uid} stands for users that this namespace cannot name`);
    return answerFor(uid);
  };

  return {
    name: 'local',
    identify(facts, rawHeaders) {
      const proxyHeader = findProxyHeader(rawHeaders);
      if (proxyHeader !== null) {
        return {
          kind: 'refused',
          status: 403,
          code: 'proxied_request',
          why: `the request bears the proxy header ${proxyHeader}`,
        };
      }
      const { socket } = facts;
      const cached = known.get(socket);
      if (cached !== undefined) return cached;
      const asked = lookUp(facts).then(
        (answer) => {
          known.set(socket, answer);
          return answer;
        },
        (error: unknown): DoorAnswer => {
          known.delete(socket);
          return { kind: 'refused', status: 403, code: 'identity_unavailable', why: describeError(error) };
        },
      );
      known.set(socket, asked);
      return asked;
    },
  };
}

function ownerUnknown(why: string): DoorAnswer {
  return { kind: 'refused', status: 403, code: 'connection_owner_unknown', why };
}

function isOfThisMachine(address: string, ownAddresses: () => readonly string[]): boolean {
  const ip = parseIp(address);
  if (ip === null) return false;
  if (classifyIp(ip) === 'loopback') return true;
  return ownAddresses().some((text) => {
    const own = parseIp(text);
    return own !== null && sameIp(own, ip);
  });
}

/** Pipelines of pipelined requests share the connection but not the headers, so this is asked each time. */
function findProxyHeader(rawHeaders: readonly string[]): string | null {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const first = name.charCodeAt(0) | 0x20;
    if (PROXY_INITIALS.has(first) && isProxyHeader(name.toLowerCase()))
      return name.slice(0, 64).toLowerCase();
  }
  return null;
}

/** First letters of all proxy headers: most headers are ruled out without lower-casing them. */
const PROXY_INITIALS: ReadonlySet<number> = new Set(Buffer.from('fvxtcp'));

function localCaller(tailnet: string, uid: number, login: string, displayName: string | null): Caller {
  return {
    principal: localPrincipal(uid),
    tailnet,
    door: 'local',
    via: null,
    device: null,
    user: { id: String(uid), login, displayName },
    groups: [],
    capabilities: NO_CAPABILITIES,
    token: null,
  };
}
