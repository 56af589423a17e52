/**
 * Where the server is: `--url`, else POSTERN_URL, else the Unix socket in the state folder. The
 * socket needs no token: its folder belongs to the one who may use it.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../base/secret.ts';
import type { CliContext } from './context.ts';
import { EXIT, CliFailure, usageFailure } from './failure.ts';
import { numberAt, textAt } from './fields.ts';
import { socketPath, stateFolder } from './paths.ts';

export interface Connection {
  readonly kind: 'socket' | 'http';
  /** Socket path, or origin. Also what a stored presence is bound to. */
  readonly where: string;
  /** Origin for `http`, a stand-in for `socket`. */
  readonly origin: URL;
  /** Sent as `X-Postern-Authorization`; from POSTERN_TOKEN. */
  readonly token: Secret | null;
  readonly stateDir: string;
}

/** Fails with `cli_usage` for an address that is none. */
export function resolveConnection(
  flags: { readonly url?: string | undefined; readonly stateDir?: string | undefined },
  context: CliContext,
): Connection {
  const stateDir = stateFolder(flags.stateDir, context);
  const tokenText = nonEmpty(context.env['POSTERN_TOKEN']);
  const token = tokenText === null ? null : new Secret(tokenText);
  // A named state folder asks for that folder's server, whatever the environment says.
  const url = flags.url ?? (flags.stateDir === undefined ? nonEmpty(context.env['POSTERN_URL']) : null);
  if (url !== null) {
    const origin = parseServerUrl(url);
    return { kind: 'http', where: origin.origin, origin, token, stateDir };
  }
  const path = socketPath(stateDir, context);
  return { kind: 'socket', where: path, origin: new URL('http://localhost'), token, stateDir };
}

function parseServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw usageFailure(
      `the server's address must be an http or https URL, got "${text}"`,
      'For example --url http://localhost:8080',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw usageFailure(
      "the server's address must not carry a user or password",
      'Put a Postern token in POSTERN_TOKEN',
    );
  }
  if (url.pathname !== '/' || url.search !== '') {
    throw usageFailure(
      `the server's address must be an origin without a path, got "${text}"`,
      `Use ${url.origin}`,
    );
  }
  return url;
}

/** What a running server says of itself in its state folder. */
export interface ServerFile {
  /** Origin for clients on this machine. */
  readonly url: string;
  readonly socket: string | null;
  readonly pid: number;
}

/** Written by `postern serve`, 0600, removed when it stops. */
export function serverFilePath(stateDir: string): string {
  return join(stateDir, 'server.json');
}

/** The running server's own word, or null if there is none or it cannot be read. */
export function readServerFile(stateDir: string): ServerFile | null {
  const path = serverFilePath(stateDir);
  if (!existsSync(path)) return null;
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const url = textAt(value, 'url');
    const pid = numberAt(value, 'pid');
    return url === null || pid === null ? null : { url, socket: textAt(value, 'socket'), pid };
  } catch {
    // A half-written or foreign file is the same as none.
    return null;
  }
}

/**
 * The origin that clients such as agents use for this server. Fails with `cli_no_server` where the
 * server left no address.
 */
export function clientOrigin(connection: Connection): string {
  if (connection.kind === 'http') return connection.origin.origin;
  const file = readServerFile(connection.stateDir);
  if (file !== null) return file.url;
  throw new CliFailure(`no server has left its address in ${connection.stateDir}`, {
    exit: EXIT.noServer,
    code: 'cli_no_server',
    fix: 'Start it with `postern serve`, or name it with --url http://localhost:8080',
  });
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
