/** Folders and sockets by the rules that the server uses. */
import { join, resolve } from 'node:path';
// Not by the folder's index, which would load the HTTP client into every command.
import { socketPathFor } from '../net/unix-socket.ts';
import type { CliContext } from './context.ts';

/** The state folder: flag, POSTERN_STATE_DIR, else the platform's usual place. */
export function stateFolder(flag: string | undefined, context: CliContext): string {
  const named = flag ?? context.env['POSTERN_STATE_DIR'];
  if (named !== undefined && named !== '') return resolve(named);
  if (context.platform === 'darwin')
    return join(context.homedir, 'Library', 'Application Support', 'postern');
  const base = context.env['XDG_STATE_HOME'];
  // The XDG base directory specification: a relative path in the variable is ignored.
  return join(base?.startsWith('/') === true ? base : join(context.homedir, '.local', 'state'), 'postern');
}

/** The server's Unix socket. Throws `AppError<'listen_socket_path_too_long'>`. */
export function socketPath(stateDir: string, context: CliContext): string {
  return socketPathFor(stateDir, { XDG_RUNTIME_DIR: context.env['XDG_RUNTIME_DIR'] }, context.platform);
}
