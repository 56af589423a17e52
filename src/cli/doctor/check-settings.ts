/** The operator's settings as this environment gives them, what they weaken, and the master key. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../base/errors.ts';
import {
  loadOperatorSettings,
  MASTER_KEY_FILE,
  type OperatorSettings,
  settingsFiles,
} from '../../config/index.ts';
import type { CliContext } from '../context.ts';
import { type Finding, found, ok } from './finding.ts';

export function checkSettings(stateDir: string, context: CliContext): readonly Finding[] {
  const settings = load(stateDir, context);
  if (settings instanceof AppError)
    return [found('settings', 'problem', settings.message, 'See docs/reference/settings.md')];
  return checkLoadedSettings(settings);
}

/** Of settings that are loaded: what they weaken, the master key, tailscaled, and files that they name. */
export function checkLoadedSettings(settings: OperatorSettings): readonly Finding[] {
  return [
    ok(
      'settings',
      settings.settingsFileFound ? settings.settingsFile : 'no file: flags, environment and defaults',
    ),
    ...settings.dangerous.map((name) =>
      found(
        'settings',
        'warning',
        `${name} is on: it weakens security`,
        `Remove it from ${settings.settingsFile}`,
      ),
    ),
    ...checkMasterKey(settings),
    checkTailscaled(settings),
    ...checkNamedFiles(settings),
  ];
}

function load(stateDir: string, context: CliContext): OperatorSettings | AppError {
  try {
    return loadOperatorSettings({
      flags: { stateDir },
      env: context.env,
      platform: context.platform,
      homedir: context.homedir,
      cwd: process.cwd(),
      readFile: (path) => settingsFiles.readFile(path),
    });
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function checkMasterKey(settings: OperatorSettings): readonly Finding[] {
  if (settings.masterKey !== null) return [ok('master key', 'given by the environment or a file of its own')];
  const path = join(settings.stateDir, MASTER_KEY_FILE);
  if (!existsSync(path)) return [];
  if ((statSync(path).mode & 0o077) !== 0)
    return [found('master key', 'problem', `${path} is open to others`, `chmod 600 ${path}`)];
  return [
    found(
      'master key',
      'note',
      'it lies in the state folder, beside what it encrypts: a copy of the folder is a copy of the keys',
      'Keep it elsewhere, and name that place in POSTERN_MASTER_KEY_FILE',
    ),
  ];
}

function checkTailscaled(settings: OperatorSettings): Finding {
  const { enabled, socket } = settings.doors.tailscaled;
  const isThere = existsSync(socket);
  if (enabled && !isThere) {
    return found(
      'tailscaled',
      'warning',
      `the door tailscaled is on, but there is no ${socket}`,
      'Start tailscaled, or set doors.tailscaled.socket',
    );
  }
  if (isThere && !enabled)
    return found(
      'tailscaled',
      'note',
      'this host runs tailscaled; the door is off',
      'Turn on doors.tailscaled.enabled to know callers by it',
    );
  return ok('tailscaled', enabled ? `asked at ${socket}` : 'not on this host');
}

function checkNamedFiles(settings: OperatorSettings): readonly Finding[] {
  const named = [
    ...(settings.config === null ? [] : [['config', settings.config] as const]),
    ...settings.caFiles.map((path) => ['caFiles', path] as const),
    ...(settings.tls === null
      ? []
      : [['tls.certFile', settings.tls.certFile] as const, ['tls.keyFile', settings.tls.keyFile] as const]),
  ];
  return named.flatMap(([name, path]) =>
    existsSync(path)
      ? []
      : [
          found(
            'settings',
            'problem',
            `${name} names ${path}, which is not there`,
            'Put it there, or change the setting',
          ),
        ],
  );
}
