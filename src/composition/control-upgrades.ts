/** What devices of Postern's own tailnets ask of a listener, besides everything else that it serves. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RequestGuard } from '../net/index.ts';

export interface DeviceProtocols {
  /** True: the request was a device's, or about one that waits, and is answered. */
  handleRequest(req: IncomingMessage, res: ServerResponse): boolean;
  wantsUpgrade(req: IncomingMessage): boolean;
  /** Takes the socket over, or answers and ends it. */
  handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** As `createListener` takes them. */
export interface ListenerUpgrades {
  readonly wantsUpgrade: (req: IncomingMessage) => boolean;
  readonly onUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** Upgrades under the listener's own guard: its names, and no page of elsewhere. */
export function guardedUpgrades(protocols: DeviceProtocols, guard: RequestGuard): ListenerUpgrades {
  return {
    wantsUpgrade: (req) => protocols.wantsUpgrade(req),
    onUpgrade(req, socket, head) {
      const answer = guard.checkRequest({
        method: req.method ?? '',
        target: req.url ?? '',
        rawHeaders: req.rawHeaders,
        jsonWrites: false,
      });
      if (answer.ok) return protocols.handleUpgrade(req, socket, head);
      socket.on('error', () => socket.destroy());
      const body = `${answer.message}\n`;
      socket.end(
        `HTTP/1.1 ${answer.status} Refused\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
        () => socket.destroy(),
      );
    },
  };
}
