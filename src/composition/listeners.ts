/** The listeners of a process and what each accepts (DESIGN section 4). Public listeners come with the network. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OperatorSettings } from '../config/index.ts';
import type { ListenerKind } from '../doors/index.ts';
import { createListener, createRequestGuard, loopbackHosts, socketPathFor, type Listener, type RequestGuard, type TlsMaterial } from '../net/index.ts';
import type { Front } from './front.ts';

export interface OpenListeners {
  /** For clients on this machine. */
  readonly url: string;
  /** For links that people open: passkeys need a name, not an address. */
  readonly consoleUrl: string;
  readonly addresses: readonly string[];
  readonly socketPath: string | null;
  readonly guards: Readonly<Record<ListenerKind, RequestGuard>>;
  readonly isSecure: (listener: ListenerKind) => boolean;
  /** From now on requests are served; those that came before wait. */
  serve(front: Front): void;
  close(drainMs: number): Promise<void>;
}

interface OpenOptions {
  readonly settings: OperatorSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export async function openListeners({ settings, env }: OpenOptions): Promise<OpenListeners> {
  const gate = createGate();
  const limits = { headerMaxBytes: settings.limits.headerMaxBytes, connectionsMax: settings.limits.connectionsMax };
  const tls = readTls(settings);
  const main = createListener({ onRequest: gate.on(settings.listen.loopback ? 'loopback' : 'tailnet'), limits, ...(tls === null ? {} : { tls }) });
  const socket = createListener({ onRequest: gate.on('socket'), limits });
  const port = settings.listen.host === 'localhost' ? await main.listenLoopback(settings.listen.port) : await main.listenTcp(settings.listen);
  const opened: Listener[] = [main, socket];
  const socketPath = socketPathFor(settings.stateDir, env);
  await socket.listenUnix(socketPath);
  if (settings.doors.serve.listen !== null) opened.push(await openServe(settings.doors.serve.listen, gate));

  const scheme = tls === null ? 'http' : 'https';
  const hosts = [...loopbackHosts(port), ...settings.hosts];
  const named = [...settings.hosts, ...ownNames(settings, port)];
  return {
    url: `${scheme}://${settings.listen.host === 'localhost' ? '127.0.0.1' : bracketed(settings.listen.host)}:${port}`,
    consoleUrl: `${scheme}://localhost:${port}`,
    addresses: opened.flatMap((listener) => listener.addresses).filter((address) => address !== socketPath),
    socketPath,
    guards: {
      loopback: createRequestGuard({ hosts, scheme }),
      socket: createRequestGuard({ hosts: [...hosts, 'localhost', 'postern'], scheme: 'http' }),
      tailnet: createRequestGuard({ hosts: [...hosts, ...named], scheme }),
      serve: createRequestGuard({ hosts: named, scheme: 'either' }),
      public: createRequestGuard({ hosts: named, scheme: 'https' }),
    },
    isSecure: (listener) => listener === 'serve' || (tls !== null && listener !== 'socket'),
    serve: (front) => gate.open(front),
    async close(drainMs) {
      await Promise.all(opened.map((listener) => listener.close(drainMs)));
    },
  };
}

async function openServe(where: NonNullable<OperatorSettings['doors']['serve']['listen']>, gate: Gate): Promise<Listener> {
  const listener = createListener({ onRequest: gate.on('serve') });
  if ('socketPath' in where) await listener.listenUnix(where.socketPath);
  else await listener.listenTcp(where);
  return listener;
}

interface Gate {
  on(kind: ListenerKind): (req: IncomingMessage, res: ServerResponse) => void;
  open(front: Front): void;
}

/** Ports are known before the parts that serve them exist; what arrives in between waits here. */
function createGate(): Gate {
  let front: Front | null = null;
  const waiting: (() => void)[] = [];
  return {
    on: (kind) => (req, res) => {
      if (front !== null) return front(req, res, kind);
      waiting.push(() => front?.(req, res, kind));
    },
    open(opened) {
      front = opened;
      for (const serve of waiting.splice(0)) serve();
    },
  };
}

function readTls(settings: OperatorSettings): TlsMaterial | null {
  if (settings.tls === null) return null;
  return { cert: readFileSync(settings.tls.certFile, 'utf8'), key: readFileSync(settings.tls.keyFile, 'utf8') };
}

/** The address that was asked for is a name of this server too, with and without its port. */
function ownNames(settings: OperatorSettings, port: number): string[] {
  const { host } = settings.listen;
  if (host === 'localhost' || host === '0.0.0.0' || host === '::') return [];
  return [`${bracketed(host)}:${port}`, bracketed(host)];
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
