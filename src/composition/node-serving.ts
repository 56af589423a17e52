/**
 * The gateway's ports in the joined network: HTTP on 80, and HTTPS on 443 where the operator gave a
 * certificate; under which names; and which connection of the network each request came by.
 */
import type { Duplex } from 'node:stream';
import type { Logger } from '../base/log.ts';
import { readCertificate } from '../crypto/index.ts';
import type { Listener } from '../net/index.ts';
import type { TailnetNode } from '../tailnet/node/index.ts';
import { bracketed, hostsAt } from './host-names.ts';
import { type AcceptTls, createAcceptTls } from './node-tls.ts';
import type { OwnCertificate } from './tls/own-files.ts';

/** Where connections of the network go. */
export interface JoinedListener {
  readonly http: Listener;
  /** Port 443 is open if there is one; the network's own certificates are not asked for. */
  readonly certificate: OwnCertificate | null;
  /** `Host` values of requests through the network; none while it is off. */
  readonly onHosts: (hosts: readonly string[]) => void;
}

/** The part of the node that is served. */
export type ServedNode = Pick<TailnetNode, 'listen' | 'status' | 'ownNames'>;

interface Opened extends JoinedListener {
  readonly take: (socket: Duplex) => void;
  readonly tls: AcceptTls | null;
}

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

export class NodeServing<Node extends ServedNode> {
  readonly #options: { readonly hosts: readonly string[]; readonly logger: Logger };
  readonly #owners = new WeakMap<object, { readonly node: Node; readonly socket: object }>();
  readonly #served = new WeakSet<Node>();
  #listener: Opened | null = null;

  /** `hosts`: further names that the operator gave. */
  constructor(options: { readonly hosts: readonly string[]; readonly logger: Logger }) {
    this.#options = options;
  }

  /** From now on nodes can be opened. */
  attach(listener: JoinedListener): void {
    const { certificate, http } = listener;
    this.#listener = {
      ...listener,
      take: http.feed(),
      tls: certificate === null ? null : createAcceptTls({ certificate, logger: this.#options.logger }),
    };
  }

  /** Opens the ports of a node that runs, once: they stay while it lives. False where nothing was opened. */
  open(node: Node): boolean {
    const listener = this.#listener;
    if (listener === null || this.#served.has(node) || node.status().state !== 'running') return false;
    this.#served.add(node);
    const { take, tls } = listener;
    const keep = (socket: Duplex, inner: object): void => {
      this.#owners.set(socket, { node, socket: inner });
      take(socket);
    };
    node.listen(HTTP_PORT, (socket) => keep(socket, socket), { allowHalfOpen: true });
    if (tls !== null)
      node.listen(HTTPS_PORT, (socket) => tls.accept(socket, (secured) => keep(secured, socket)), {
        allowHalfOpen: true,
      });
    this.tellHosts(node);
    return true;
  }

  /** Names lead here while the network runs; null: it was left. */
  tellHosts(node: Node | null): void {
    const isRunning = node !== null && node.status().state === 'running';
    const names = isRunning ? [...this.#options.hosts, ...node.ownNames, ...node.status().addresses] : [];
    this.#listener?.onHosts(hostsAt(names, [HTTP_PORT, HTTPS_PORT]));
  }

  /** The network's connection inside one that was served, and its node; undefined for any other. */
  ownerOf(socket: object): { readonly node: Node; readonly socket: object } | undefined {
    return this.#owners.get(socket);
  }

  /** As people write them, full name first; HTTPS for what the certificate is good for. Empty while there are none. */
  urlsOf(node: Node): readonly string[] {
    const { state, addresses } = node.status();
    if (!this.#served.has(node) || state !== 'running') return [];
    const material = this.#listener?.certificate?.current ?? null;
    const certificate = material === null ? null : readCertificate(material.cert);
    return [...node.ownNames, ...addresses].map((host) => {
      const scheme = certificate?.covers(host) === true ? 'https' : 'http';
      return `${scheme}://${bracketed(host)}`;
    });
  }
}
