/**
 * The presence that `postern login` obtained, kept for its ten minutes in a file that only its
 * owner reads. A process of the same OS user can read it too, as it can read this terminal.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { UnixMs } from '../base/clock.ts';
import { Secret } from '../base/secret.ts';
import type { Connection } from './connection.ts';
import type { CliContext } from './context.ts';
import { numberAt, textAt } from './fields.ts';

export interface Presence {
  readonly token: Secret;
  readonly expiresAt: UnixMs;
}

/** The stored presence for this very server, or null if there is none or it has ended. */
export function loadPresence(connection: Connection, context: CliContext): Presence | null {
  const path = presencePath(connection, context);
  if (path === null || !existsSync(path)) return null;
  try {
    // Someone else may read or have written it: not a secret any more.
    if ((statSync(path).mode & 0o077) !== 0) return null;
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const token = textAt(value, 'token');
    const expiresAt = numberAt(value, 'expires_at');
    if (token === null || expiresAt === null || textAt(value, 'where') !== connection.where) return null;
    return expiresAt > context.clock.now() ? { token: new Secret(token), expiresAt } : null;
  } catch {
    return null;
  }
}

/** Returns the file's path. */
export function storePresence(connection: Connection, context: CliContext, presence: Presence): string {
  const path = presencePath(connection, context) ?? join(connection.stateDir, FILE_NAME);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  const body = { where: connection.where, token: presence.token.reveal(), expires_at: presence.expiresAt };
  writeFileSync(temporary, JSON.stringify(body), { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
  return path;
}

export function forgetPresence(connection: Connection, context: CliContext): void {
  const path = presencePath(connection, context);
  if (path !== null) rmSync(path, { force: true });
}

const FILE_NAME = 'presence.json';

/** In the state folder if this machine has one, else in the session's runtime folder; null if neither exists. */
function presencePath(connection: Connection, context: CliContext): string | null {
  if (existsSync(connection.stateDir)) return join(connection.stateDir, FILE_NAME);
  const runtime = context.env['XDG_RUNTIME_DIR'];
  return runtime === undefined || runtime === '' ? null : join(runtime, 'postern', FILE_NAME);
}
