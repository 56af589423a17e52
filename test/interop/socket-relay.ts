/**
 * Stands between Postern and a tailscaled's LocalAPI socket, so that the daemon can fall silent while
 * its network goes on.
 */
import net from 'node:net';
import { rm } from 'node:fs/promises';

export interface SocketRelay {
  /** Drops every connection; from now on nobody answers. */
  stop(): Promise<void>;
  /** Answers again. */
  start(): Promise<void>;
}

/** Listens at `path` and hands on to `target`. */
export async function startSocketRelay(path: string, target: string): Promise<SocketRelay> {
  const open = new Set<net.Socket>();
  let server: net.Server | null = null;
  const relay: SocketRelay = {
    async start() {
      server = net.createServer((incoming) => {
        const outgoing = net.connect(target);
        for (const [one, other] of [
          [incoming, outgoing],
          [outgoing, incoming],
        ] as const) {
          open.add(one);
          one.on('error', () => other.destroy());
          one.on('close', () => {
            open.delete(one);
            other.destroy();
          });
          one.pipe(other);
        }
      });
      await new Promise<void>((resolve, reject) => {
        server?.once('error', reject).listen(path, resolve);
      });
    },
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => {
        if (server === null) resolve(undefined);
        else server.close(resolve);
      });
      server = null;
      await rm(path, { force: true });
    },
  };
  await relay.start();
  return relay;
}
