/** How a node is set up. */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Secret } from '../../base/secret.ts';
import type { StreamDialer } from '../protocol/index.ts';

/**
 * Direct paths and STUN over loopback addresses, which peers and servers otherwise cannot make this
 * machine send to. For tests with several nodes on one machine.
 */
export const allowLoopbackPaths: unique symbol = Symbol('allowLoopbackPaths');

export interface TailnetNodeOptions {
  /** Folder of the state file (`node.json`, 0600), made where it is missing. Of this node alone. */
  readonly stateDir: string;
  /** What it is called: asked of the control server, or told to static peers besides `ai`. Default `postern`. */
  readonly hostname?: string;
  /** UDP port for WireGuard; default 0, any free one. */
  readonly port?: number;
  /** Local addresses of the UDP sockets; default all, null for none of that family. */
  readonly address4?: string | null;
  readonly address6?: string | null;
  /**
   * Whether many datagrams may go out in one system call, where the system can; default true. That needs `node:ffi`,
   * of which Node.js warns once (`ExperimentalWarning`); without it UDP is `node:dgram` alone.
   */
  readonly offload?: boolean;
  /** `https://host[:port]` of the network to join. Absent: static peers. */
  readonly controlUrl?: string;
  /** For the first login, and where the key has expired. Absent: someone visits the login URL. */
  readonly authKey?: Secret | string;
  /** The control server forgets the device when it closes, or is gone for a while. Default false. */
  readonly ephemeral?: boolean;
  /** `tag:x` that it asks for; an auth key's own win. */
  readonly tags?: readonly string[];
  /** The way to control server and relays; default the system's resolver, TCP and TLS. */
  readonly dialer?: StreamDialer;
  /** `address:port` where others reach us, as the operator knows: a forwarded port, a public address. */
  readonly endpoints?: readonly string[];
  /** Sends through peers that are routers of subnets, too. Default false. Default routes never. */
  readonly acceptRoutes?: boolean;
  /** Of the program that embeds the node, told to the control server. */
  readonly version?: string;
  readonly [allowLoopbackPaths]?: true;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface UpOptions {
  /** Gives up and closes the node again. */
  readonly signal?: AbortSignal;
  /** Someone has to visit this URL, in a browser, before `up` can resolve. */
  readonly onLoginUrl?: (url: string) => void;
}

export interface NodeListenOptions {
  readonly allowHalfOpen?: boolean;
}
