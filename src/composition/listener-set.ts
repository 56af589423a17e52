/**
 * Listeners on a set of addresses that changes while the process runs: interfaces come and go, a
 * network is joined or left. One listener per place; what cannot be opened now is tried again with
 * the next call, and told once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError, describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { createListener, type Listener, type ListenerLimits, type TlsMaterial } from '../net/index.ts';
import type { ListenerUpgrades } from './control-upgrades.ts';
import { bracketed } from './host-names.ts';

export interface Place {
  readonly host: string;
  /** 0 lets the system choose, once. */
  readonly port: number;
  /** Null: HTTP. */
  readonly tls: TlsMaterial | null;
  /** Instead of `port` where this process has no right to it. */
  readonly fallbackPort?: number;
}

export interface ListenerSet {
  /** `https://192.0.2.2:8080`; the same array object for life. */
  readonly urls: readonly string[];
  /** Ports that are open. */
  ports(): readonly number[];
  /** Opens what is missing, closes what is not wanted any more, renews certificates. Rejects never; gives what failed. */
  want(places: readonly Place[]): Promise<readonly Error[]>;
  close(drainMs: number): Promise<void>;
}

export interface ListenerSetOptions {
  /** For the log: `tailnet`. */
  readonly name: string;
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void;
  /** Default: every upgrade is a plain request. */
  readonly upgrades?: ListenerUpgrades | null;
  readonly limits: Partial<ListenerLimits>;
  readonly logger: Logger;
}

interface OpenPlace {
  readonly listener: Listener;
  readonly port: number;
  readonly url: string;
  tls: TlsMaterial | null;
}

export function createListenerSet(options: ListenerSetOptions): ListenerSet {
  const { name, logger } = options;
  const open = new Map<string, OpenPlace>();
  const told = new Set<string>();
  const urls: string[] = [];
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();

  const tryOpen = async (place: Place, port: number): Promise<void> => {
    const listener = createListener({
      onRequest: options.onRequest,
      ...options.upgrades,
      limits: options.limits,
      ...(place.tls === null ? {} : { tls: place.tls }),
    });
    const bound = await listener.listenTcp({ host: place.host, port });
    const url = `${place.tls === null ? 'http' : 'https'}://${bracketed(place.host)}:${bound}`;
    open.set(keyOf(place), { listener, port: bound, url, tls: place.tls });
    logger.info('a listener is open', { listener: name, url });
  };

  const openOrFail = async (place: Place): Promise<Error | null> => {
    try {
      await tryOpen(place, place.port);
      return null;
    } catch (error) {
      const { fallbackPort } = place;
      if (fallbackPort === undefined || !isForbidden(error)) return asError(error);
      tellOnce(
        `${name}: this process may not use port ${place.port}; ${place.host} has port ${fallbackPort} instead (give the process CAP_NET_BIND_SERVICE, or set another port)`,
      );
      return tryOpen(place, fallbackPort).then(() => null, asError);
    }
  };

  const tellOnce = (text: string): void => {
    if (told.has(text)) return;
    /* Places come and go for the life of a process; telling something twice is the lesser evil. */
    if (told.size > 1000) told.clear();
    told.add(text);
    logger.warn(text);
  };

  const change = async (places: readonly Place[]): Promise<readonly Error[]> => {
    if (closed) return [];
    const wanted = new Map(places.map((place) => [keyOf(place), place]));
    const gone = [...open].filter(([key]) => !wanted.has(key));
    for (const [key, { url }] of gone) {
      open.delete(key);
      logger.info('a listener is closed: its address is gone', { listener: name, url });
    }
    await Promise.all(gone.map(([, { listener }]) => listener.close(0)));
    const failures: Error[] = [];
    for (const [key, place] of wanted) {
      const known = open.get(key);
      if (known !== undefined) {
        renew(known, place.tls);
        continue;
      }
      const failure = await openOrFail(place);
      if (failure === null) continue;
      failures.push(failure);
      tellOnce(`${name}: ${describeError(failure)}`);
    }
    urls.splice(0, urls.length, ...[...open.values()].map(({ url }) => url));
    return failures;
  };

  return {
    urls,
    ports: () => [...new Set([...open.values()].map(({ port }) => port))],
    want(places) {
      const result = last.then(() => change(places));
      last = result.catch(() => undefined);
      return result;
    },
    async close(drainMs) {
      closed = true;
      await last;
      await Promise.all([...open.values()].map(({ listener }) => listener.close(drainMs)));
      urls.length = 0;
    },
  };
}

function keyOf({ host, port, tls }: Place): string {
  return `${host} ${port} ${tls === null ? 'http' : 'https'}`;
}

function renew(place: OpenPlace, tls: TlsMaterial | null): void {
  if (tls === null || (tls.cert === place.tls?.cert && tls.key === place.tls.key)) return;
  place.tls = tls;
  place.listener.setTls(tls);
}

/** A port below 1024 without the right to it. */
function isForbidden(error: unknown): boolean {
  const cause: unknown = error instanceof AppError ? error.cause : error;
  return cause instanceof Error && 'code' in cause && cause.code === 'EACCES';
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
