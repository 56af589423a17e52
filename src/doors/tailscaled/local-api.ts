/**
 * The LocalAPI of the host's tailscaled over its Unix socket (tailscale.com/ipn/localapi): whois,
 * status, and the notification bus. Answers are the daemon's, bounded in bytes and time; unknown
 * fields are ignored. Reading needs no rights beyond reaching the socket.
 */
import http from 'node:http';
import { AppError } from '../../base/errors.ts';

export type LocalApiErrorCode =
  | 'local_api_unreachable'
  | 'local_api_timeout'
  | 'local_api_refused'
  | 'local_api_malformed';

export interface LocalApi {
  /** `addr` is `ip:port`, IPv6 in brackets. Null: the daemon knows no such peer (404). @throws AppError<LocalApiErrorCode> */
  whois(addr: string): Promise<unknown>;
  /** Status without peers. @throws AppError<LocalApiErrorCode> */
  status(): Promise<unknown>;
  /**
   * The certificate and key (PEM) of a name of this node. The daemon gets it from the network's
   * authority, which takes up to a minute the first time, and renews it by itself when asked in
   * time. Needs the right to it: root, the daemon's operator, or TS_PERMIT_CERT_UID.
   * @throws AppError<LocalApiErrorCode>
   */
  certificate(name: string): Promise<{ readonly cert: string; readonly key: string }>;
  /**
   * Calls back at each notification that may concern peers or this node, until `signal` aborts or
   * the daemon ends it; resolves then. @throws AppError<LocalApiErrorCode>
   */
  watch(options: {
    readonly onChange: () => void;
    readonly onOpen: () => void;
    readonly signal: AbortSignal;
  }): Promise<void>;
  close(): void;
}

export interface LocalApiOptions {
  /** Default on Linux `/var/run/tailscale/tailscaled.sock`. */
  readonly socketPath: string;
  /** For one answer. Default 2,000. */
  readonly timeoutMs?: number;
}

/** The daemon answers no other Host (defence against rebinding on its side). */
const HOST = 'local-tailscaled.sock';
/** Whois of a peer with many capabilities stays well below. */
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
/** A notification of an older daemon may carry the whole network map. */
const LINE_MAX_BYTES = 64 * 1024 * 1024;
/**
 * NotifyInitialState (1 << 1), NotifyNoPrivateKeys (1 << 4), NotifyPeerChanges (1 << 12): without
 * the last, daemons of 2026 tell nothing about peers; older ones ignore it and send network maps.
 * NotifyRateLimit (1 << 8) is left out: it delays by seconds.
 */
const WATCH_MASK = 2 + 16 + 4096;
/** An authority's answer to a first order takes this long at worst. */
const CERTIFICATE_TIMEOUT_MS = 120_000;
/** Connections to the daemon at once. */
const SOCKETS_MAX = 8;

export function createLocalApi(options: LocalApiOptions): LocalApi {
  const agent = new http.Agent({ keepAlive: true, maxSockets: SOCKETS_MAX, maxFreeSockets: 2 });
  const timeoutMs = options.timeoutMs ?? 2000;
  const get = async (path: string): Promise<unknown> =>
    parseJson(await getText({ socketPath: options.socketPath, path, agent, timeoutMs }));
  return {
    whois: (addr) => get(`/localapi/v0/whois?addr=${encodeURIComponent(addr)}&proto=tcp`),
    status: () => get('/localapi/v0/status?peers=false'),
    async certificate(name) {
      const path = `/localapi/v0/cert/${encodeURIComponent(name)}?type=pair`;
      const { socketPath } = options;
      return readPair(await getText({ socketPath, path, agent, timeoutMs: CERTIFICATE_TIMEOUT_MS }));
    },
    watch: (watching) => watchBus(options.socketPath, watching),
    close: () => agent.destroy(),
  };
}

interface GetOptions {
  readonly socketPath: string;
  readonly path: string;
  readonly agent: http.Agent;
  readonly timeoutMs: number;
}

/** Null for 404. */
function getText({ socketPath, path, agent, timeoutMs }: GetOptions): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: unknown): void =>
      reject(
        signal.aborted
          ? new AppError<LocalApiErrorCode>(
              'local_api_timeout',
              `tailscaled did not answer within ${timeoutMs} ms`,
              { cause: error },
            )
          : unreachable(socketPath, error),
      );
    const request = http.get({ socketPath, path, agent, signal, headers: { host: HOST } }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= ANSWER_MAX_BYTES) chunks.push(chunk);
        else request.destroy(new Error('the answer is too large'));
      });
      response.on('end', () => settle(response.statusCode ?? 0, chunks, resolve, reject));
    });
    request.on('error', fail);
  });
}

function settle(
  status: number,
  chunks: readonly Buffer[],
  resolve: (text: string | null) => void,
  reject: (error: unknown) => void,
): void {
  if (status === 404) return resolve(null);
  const text = Buffer.concat(chunks).toString('utf8');
  if (status === 200) return resolve(text);
  reject(
    new AppError<LocalApiErrorCode>('local_api_refused', `tailscaled answered with status ${status}`, {
      detail: text.slice(0, 500).trim(),
    }),
  );
}

function parseJson(text: string | null): unknown {
  if (text === null) return null;
  try {
    return parseKeepingIds(text);
  } catch (error) {
    throw malformed('something that is not JSON', error);
  }
}

/** The key first, then the chain, as the daemon writes `type=pair`. */
function readPair(text: string | null): { readonly cert: string; readonly key: string } {
  const blocks = (text ?? '').match(PEM_BLOCK) ?? [];
  const isKey = (block: string): boolean => block.slice(0, 40).includes('PRIVATE KEY');
  const [key, ...more] = blocks.filter(isKey);
  const certs = blocks.filter((block) => !isKey(block));
  if (key === undefined || more.length > 0 || certs.length === 0)
    throw malformed('something that is no certificate with its key', undefined);
  return { cert: `${certs.join('\n')}\n`, key: `${key}\n` };
}

const PEM_BLOCK = /-----BEGIN (CERTIFICATE|(?:[A-Z]+ )?PRIVATE KEY)-----[^-]+-----END \1-----/g;

function malformed(what: string, cause: unknown): AppError<LocalApiErrorCode> {
  return new AppError<LocalApiErrorCode>('local_api_malformed', `tailscaled answered with ${what}`, {
    cause,
  });
}

const ID_KEYS: ReadonlySet<string> = new Set(['ID', 'User', 'Sharer', 'UserID']);

/**
 * JSON in which ids stay exact: they are 64-bit integers, and two people must not become one by
 * rounding to 53 bits. An id that a number cannot hold becomes a string of its digits.
 */
export function parseKeepingIds(text: string): unknown {
  const reviver = (key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && ID_KEYS.has(key) && !Number.isSafeInteger(value)
      ? (context?.source ?? null)
      : value;
  return JSON.parse(text, reviver);
}

function unreachable(socketPath: string, cause: unknown): AppError<LocalApiErrorCode> {
  return new AppError<LocalApiErrorCode>(
    'local_api_unreachable',
    `tailscaled cannot be reached at ${socketPath}`,
    { cause },
  );
}

interface Watching {
  readonly onChange: () => void;
  readonly onOpen: () => void;
  readonly signal: AbortSignal;
}

/** The bus is a JSON object a line, for ever. */
function watchBus(socketPath: string, { onChange, onOpen, signal }: Watching): Promise<void> {
  return new Promise((resolve, reject) => {
    const path = `/localapi/v0/watch-ipn-bus?mask=${WATCH_MASK}`;
    const request = http.get(
      { socketPath, path, agent: false, signal, headers: { host: HOST } },
      (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          request.destroy();
          return reject(
            new AppError<LocalApiErrorCode>(
              'local_api_refused',
              `tailscaled answered with status ${response.statusCode}`,
            ),
          );
        }
        onOpen();
        const lines = new NotificationLines(onChange);
        response.on('data', (chunk: Buffer) => {
          if (!lines.push(chunk)) request.destroy(new Error('a notification is too large'));
        });
        response.on('error', (error) =>
          signal.aborted ? resolve() : reject(unreachable(socketPath, error)),
        );
        response.on('end', () => resolve());
      },
    );
    request.on('error', (error) => (signal.aborted ? resolve() : reject(unreachable(socketPath, error))));
  });
}

/** Fields whose presence means that a peer, a person or this node may have changed. */
const CHANGE_KEYS = [
  'NetMap',
  'PeersChanged',
  'PeersRemoved',
  'PeerChangedPatch',
  'UserProfiles',
  'SelfChange',
  'State',
  'Prefs',
  'LoginFinished',
];
const CHANGE = new RegExp(`"(?:${CHANGE_KEYS.join('|')})":(?!null)`);

/**
 * Looks for those fields without parsing: a match inside a string costs one needless check. Only
 * the end of what came before is kept, enough for a key that two chunks share.
 */
class NotificationLines {
  readonly #onChange: () => void;
  #tail = '';
  #bytes = 0;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** False if one line grows over its limit. */
  push(chunk: Buffer): boolean {
    const text = this.#tail + chunk.toString('latin1');
    if (CHANGE.test(text)) {
      this.#onChange();
      /* What matched must not match again with the next chunk. */
      this.#tail = '';
    } else {
      this.#tail = text.slice(-32);
    }
    const newline = chunk.lastIndexOf(0x0a);
    this.#bytes = newline === -1 ? this.#bytes + chunk.length : chunk.length - newline;
    return this.#bytes <= LINE_MAX_BYTES;
  }
}
