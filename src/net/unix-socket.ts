/**
 * Where a Unix socket lies and what must hold of its folder. Node cannot ask for the peer's
 * credentials (SO_PEERCRED), so the folder's mode is what keeps others out: it is 0700 and ours.
 */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { sha256Hex } from '../crypto/index.ts';
import { errorCode, netError } from './errors.ts';

/** Bytes of a path in sockaddr_un, without the final NUL: 108 on Linux, 104 on macOS and the BSDs. */
const PATH_MAX_BYTES = { linux: 107, other: 103 } as const;
const SOCKET_NAME = 'postern.sock';

export interface SocketPathEnvironment {
  readonly XDG_RUNTIME_DIR?: string | undefined;
}

/**
 * The path of the server's socket: in the state folder, or, where that is too long for a socket
 * address, in a folder of its own under `$XDG_RUNTIME_DIR` named after the state folder.
 * @throws AppError<'listen_socket_path_too_long'>
 */
export function socketPathFor(
  stateDir: string,
  env: SocketPathEnvironment,
  platform: string = process.platform,
): string {
  const maxBytes = platform === 'linux' ? PATH_MAX_BYTES.linux : PATH_MAX_BYTES.other;
  const usual = join(stateDir, SOCKET_NAME);
  if (Buffer.byteLength(usual) <= maxBytes) return usual;
  const runtimeDir = env.XDG_RUNTIME_DIR;
  if (runtimeDir !== undefined && runtimeDir.startsWith('/')) {
    const short = join(runtimeDir, `postern-${sha256Hex(stateDir).slice(0, 16)}`, SOCKET_NAME);
    if (Buffer.byteLength(short) <= maxBytes) return short;
  }
  throw netError(
    'listen_socket_path_too_long',
    `the socket path ${usual} is over ${maxBytes} bytes; use a shorter --state-dir or set XDG_RUNTIME_DIR`,
  );
}

/**
 * Makes the folder (0700) if it is missing, checks that it is ours and nobody else's, and removes
 * a socket that no process listens on any more.
 * @throws AppError<'listen_socket_folder_unsafe' | 'listen_socket_in_use'>
 */
export async function prepareSocketPath(path: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const facts = await lstat(folder);
  const uid = process.getuid?.();
  if (!facts.isDirectory()) {
    throw netError('listen_socket_folder_unsafe', `${folder} must be a folder, not a link or file`);
  }
  if (uid !== undefined && facts.uid !== uid) {
    throw netError(
      'listen_socket_folder_unsafe',
      `${folder} must belong to uid ${uid}, but belongs to ${facts.uid}`,
    );
  }
  if ((facts.mode & 0o077) !== 0) await chmod(folder, 0o700);
  await removeStaleSocket(path);
}

async function removeStaleSocket(path: string): Promise<void> {
  let facts;
  try {
    facts = await lstat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  if (!facts.isSocket()) {
    throw netError('listen_socket_in_use', `${path} exists and is not a socket; move it away`);
  }
  if (await isListening(path)) {
    throw netError(
      'listen_socket_in_use',
      `another process listens on ${path}; stop it or use another --state-dir`,
    );
  }
  await unlink(path);
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    /* ECONNREFUSED: nobody is there. Anything else: assume somebody is, and touch nothing. */
    probe.once('error', (error) =>
      resolve(errorCode(error) !== 'ECONNREFUSED' && errorCode(error) !== 'ENOENT'),
    );
  });
}
