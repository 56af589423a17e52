/** Test doubles of this folder: connections, clocks, and a store of tokens in memory. */
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { TokenRow } from '../store/shapes.ts';
import type { ConnectionFacts, ConnectionSocket, ListenerKind } from './door.ts';
import type { TokenStore } from './ports.ts';

export interface FakeSocket extends ConnectionSocket {
  /** The connection ends. */
  end(): void;
}

export function fakeSocket(
  remoteAddress: string | undefined,
  remotePort = 40_000,
  destroyed = false,
): FakeSocket {
  const events = new EventEmitter();
  const socket = {
    remoteAddress,
    remotePort,
    localAddress: remoteAddress?.includes(':') === true ? '::1' : '127.0.0.1',
    localPort: 8080,
    destroyed,
    once: (event: 'close', listener: () => void) => events.once(event, listener),
    end(): void {
      socket.destroyed = true;
      events.emit('close');
    },
  };
  return socket;
}

export function connection(listener: ListenerKind, socket: ConnectionSocket): ConnectionFacts {
  return { listener, socket };
}

/** The part of a request that the identifier reads. */
export function request(
  socket: ConnectionSocket,
  headers: readonly string[] = [],
  url = '/v1/messages',
): IncomingMessage {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a double with all that is read
  return { socket, rawHeaders: [...headers], url } as unknown as IncomingMessage;
}

export interface ManualClock extends Clock {
  advance(durationMs: number): void;
}

export function manualClock(start = Date.UTC(2026, 10, 23)): ManualClock {
  let now = start;
  return {
    now: () => now,
    monotonicMs: () => now,
    advance(durationMs) {
      now += durationMs;
    },
  };
}

export interface MemoryTokenStore extends TokenStore {
  readonly rows: Map<string, TokenRow>;
  readonly touched: { readonly id: string; readonly at: number }[];
  /** `touchTokens` rejects. */
  isLocked: boolean;
}

export function memoryTokenStore(): MemoryTokenStore {
  const rows = new Map<string, TokenRow>();
  const touched: { readonly id: string; readonly at: number }[] = [];
  const store: MemoryTokenStore = {
    rows,
    touched,
    isLocked: false,
    listTokens: (tailnet) => Promise.resolve([...rows.values()].filter((row) => row.tailnet === tailnet)),
    putToken: (row) => {
      rows.set(row.id, row);
      return Promise.resolve();
    },
    revokeToken: (_tailnet, id, at) => {
      const row = rows.get(id);
      if (row === undefined) return Promise.resolve(false);
      rows.set(id, { ...row, revokedAt: at });
      return Promise.resolve(true);
    },
    touchTokens: (used) => {
      if (store.isLocked) return Promise.reject(new Error('locked'));
      touched.push(...used);
      return Promise.resolve();
    },
  };
  return store;
}
