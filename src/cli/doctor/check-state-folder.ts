/** Who may read the state folder, how much room it has, and whether what lies there is alive. */
import { type Stats, existsSync, lstatSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../base/errors.ts';
import { readServerFile } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { ADMIN_RESET_FILE } from '../reset-file.ts';
import { type Finding, found, ok } from './finding.ts';

/** Below 512 MiB a busy day of full capture can fill the disk. */
const FREE_LEAST_BYTES = 512 * 1024 * 1024;

/** Folders with more entries than this are not looked through to the end. */
const ENTRIES_MAX = 1000;

export function checkStateFolder(stateDir: string, _context: CliContext): readonly Finding[] {
  if (!existsSync(stateDir)) {
    return [found('state', 'note', `${stateDir} does not exist yet`, '`postern serve` makes it')];
  }
  try {
    return [...checkModes(stateDir), checkRoom(stateDir), ...checkLeftovers(stateDir)];
  } catch (error) {
    return [
      found(
        'state',
        'problem',
        `cannot look into ${stateDir}: ${describeError(error)}`,
        'Run this as the user who runs the server',
      ),
    ];
  }
}

function checkModes(stateDir: string): readonly Finding[] {
  const findings: Finding[] = [];
  const folder = lstatSync(stateDir);
  const uid = process.getuid?.();
  if (uid !== undefined && folder.uid !== uid) {
    findings.push(
      found(
        'state',
        'problem',
        `${stateDir} belongs to user id ${folder.uid}, not to you (${uid})`,
        'Run this as the user who runs the server',
      ),
    );
  }
  if ((folder.mode & 0o077) !== 0) {
    findings.push(
      found(
        'state',
        'problem',
        `${stateDir} is open to others (mode ${modeText(folder)})`,
        `chmod 700 ${stateDir}`,
      ),
    );
  }
  const open = readdirSync(stateDir)
    .slice(0, ENTRIES_MAX)
    .filter((name) => isOpenSecret(join(stateDir, name)));
  if (open.length > 0) {
    findings.push(
      found(
        'state',
        'warning',
        `open to others: ${open.join(', ')}`,
        `chmod go= ${open.map((name) => join(stateDir, name)).join(' ')}`,
      ),
    );
  }
  return findings.length > 0 ? findings : [ok('state', `${stateDir} is yours alone`)];
}

/** A file that others could read or write, should the folder's own mode ever change. Sockets and links do not count. */
function isOpenSecret(path: string): boolean {
  const stats = lstatSync(path);
  return stats.isFile() && (stats.mode & 0o077) !== 0;
}

function checkRoom(stateDir: string): Finding {
  const { bavail, bsize } = statfsSync(stateDir);
  const free = bavail * bsize;
  const text = `${Math.floor(free / 1024 / 1024).toLocaleString('en-US')} MiB free`;
  if (free >= FREE_LEAST_BYTES) return ok('disk', text);
  return found(
    'disk',
    'warning',
    `only ${text} for records`,
    'Make room, or keep less: "capture": "metadata" in the document',
  );
}

function checkLeftovers(stateDir: string): readonly Finding[] {
  const findings: Finding[] = [];
  const server = readServerFile(stateDir);
  if (server !== null && !isAlive(server.pid)) {
    findings.push(
      found(
        'state',
        'note',
        `the server with process id ${server.pid} ended without tidying up`,
        'The next start does',
      ),
    );
  }
  if (existsSync(join(stateDir, ADMIN_RESET_FILE))) {
    findings.push(found('state', 'note', 'an admin reset is waiting for the next start', null));
  }
  return findings;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is alive, too.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function modeText(stats: Stats): string {
  return (stats.mode & 0o777).toString(8).padStart(4, '0');
}
