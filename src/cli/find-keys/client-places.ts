/**
 * Where clients keep their settings, and which client a file belongs to. Places are those that each
 * client documents for Linux and macOS; variables that move them are followed.
 */
import { basename, dirname, join, sep } from 'node:path';
import type { CliContext } from '../context.ts';
import { BACKUP_MARK } from './adopt/backup-name.ts';
import type { ClientId } from './shapes.ts';

export interface ClientPlace {
  readonly client: ClientId;
  /** Absolute. */
  readonly path: string;
  /** A folder of which the text files of a few levels are searched. Default a file. */
  readonly folder?: true;
}

export const CLIENT_TITLES: Readonly<Record<ClientId, string>> = {
  claude: 'Claude Code',
  codex: 'Codex',
  gemini: 'Gemini CLI',
  opencode: 'OpenCode',
  cursor: 'Cursor',
  continue: 'Continue',
  aider: 'Aider',
  zed: 'Zed',
  vscode: 'VS Code',
  jetbrains: 'JetBrains',
  cline: 'Cline',
  goose: 'Goose',
  llm: 'llm',
  crush: 'Crush',
  shell: 'shell start-up file',
  netrc: '.netrc',
  npm: 'npm',
  pypi: 'PyPI',
  git: 'git',
  dotenv: '.env file',
  backup: 'backup of `find-keys --adopt`',
};

const SHELL_FILES = [
  '.bashrc',
  '.bash_profile',
  '.bash_login',
  '.bash_aliases',
  '.profile',
  '.zshrc',
  '.zshenv',
  '.zprofile',
  '.zlogin',
  '.kshrc',
  '.envrc',
  '.exports',
  '.bash_history',
  '.zsh_history',
  '.xprofile',
  '.pam_environment',
];

/** Every place of the user's own that is searched, in the order of the report. */
export function clientPlaces(context: CliContext): readonly ClientPlace[] {
  const home = context.homedir;
  const variable = (name: string, otherwise: string): string => {
    const value = context.env[name];
    return value?.startsWith('/') === true ? value : otherwise;
  };
  const config = variable('XDG_CONFIG_HOME', join(home, '.config'));
  const data = variable('XDG_DATA_HOME', join(home, '.local', 'share'));
  const claude = variable('CLAUDE_CONFIG_DIR', join(home, '.claude'));
  const codex = variable('CODEX_HOME', join(home, '.codex'));
  const gemini = join(variable('GEMINI_CLI_HOME', home), '.gemini');
  const applications = join(home, 'Library', 'Application Support');
  const editorFolders = context.platform === 'darwin' ? applications : config;
  const files = (client: ClientId, ...paths: string[]): ClientPlace[] =>
    paths.map((path) => ({ client, path }));
  const folder = (client: ClientId, path: string): ClientPlace => ({ client, path, folder: true });
  return [
    ...files(
      'claude',
      join(claude, 'settings.json'),
      join(claude, 'settings.local.json'),
      join(claude, '.credentials.json'),
    ),
    ...files('claude', join(home, '.claude.json'), join(claude, '.claude.json')),
    ...files('codex', join(codex, 'config.toml'), join(codex, 'auth.json'), join(codex, '.env')),
    ...files('gemini', join(gemini, '.env'), join(gemini, 'settings.json')),
    ...files('opencode', join(data, 'opencode', 'auth.json')),
    ...files(
      'opencode',
      ...['opencode.json', 'opencode.jsonc', 'config.json'].map((name) => join(config, 'opencode', name)),
    ),
    ...files(
      'cursor',
      join(editorFolders, 'Cursor', 'User', 'settings.json'),
      join(home, '.cursor', 'mcp.json'),
    ),
    folder('continue', join(home, '.continue')),
    ...files('aider', join(home, '.aider.conf.yml'), join(home, '.aider.conf.yaml')),
    ...files('zed', join(config, 'zed', 'settings.json')),
    ...['Code', 'Code - Insiders', 'VSCodium'].flatMap((name) =>
      files(
        'vscode',
        join(editorFolders, name, 'User', 'settings.json'),
        join(editorFolders, name, 'User', 'mcp.json'),
      ),
    ),
    folder('jetbrains', join(editorFolders, 'JetBrains')),
    folder('cline', join(home, '.cline')),
    folder('goose', join(config, 'goose')),
    ...files(
      'llm',
      join(config, 'io.datasette.llm', 'keys.json'),
      join(applications, 'io.datasette.llm', 'keys.json'),
    ),
    ...files('crush', join(config, 'crush', 'crush.json'), join(data, 'crush', 'crush.json')),
    ...files('shell', ...SHELL_FILES.map((name) => join(home, name)), join(config, 'fish', 'config.fish')),
    folder('shell', join(config, 'fish', 'conf.d')),
    folder('shell', join(config, 'environment.d')),
    ...files('netrc', join(home, '.netrc'), join(home, '_netrc')),
    ...files('npm', join(home, '.npmrc')),
    ...files('pypi', join(home, '.pypirc')),
    ...files(
      'git',
      join(home, '.gitconfig'),
      join(home, '.git-credentials'),
      join(config, 'git', 'config'),
      join(config, 'git', 'credentials'),
    ),
  ];
}

/** Client of a file anywhere, by its name and folder; null if it is nobody's. */
export function clientOfPath(path: string): ClientId | null {
  const name = basename(path);
  if (name.includes(BACKUP_MARK)) return 'backup';
  if (isDotenv(name)) return path.includes(`${sep}.gemini${sep}`) ? 'gemini' : 'dotenv';
  const byName = NAMES[name];
  if (byName !== undefined) return byName;
  const parent = basename(dirname(path));
  return FOLDERS[parent] ?? null;
}

/** `.env`, `.env.local`, `production.env`. */
export function isDotenv(name: string): boolean {
  return /^\.env(?:rc$|$|\.)/.test(name) || name.endsWith('.env');
}

const NAMES: Readonly<Partial<Record<string, ClientId>>> = {
  '.claude.json': 'claude',
  '.aider.conf.yml': 'aider',
  '.aider.conf.yaml': 'aider',
  'opencode.json': 'opencode',
  'opencode.jsonc': 'opencode',
  'crush.json': 'crush',
  '.netrc': 'netrc',
  _netrc: 'netrc',
  '.npmrc': 'npm',
  '.pypirc': 'pypi',
  '.gitconfig': 'git',
  '.git-credentials': 'git',
  ...Object.fromEntries(SHELL_FILES.map((file) => [file, 'shell'] as const)),
};

/** By the folder that a project's settings lie in. */
const FOLDERS: Readonly<Partial<Record<string, ClientId>>> = {
  '.claude': 'claude',
  '.codex': 'codex',
  '.gemini': 'gemini',
  '.cursor': 'cursor',
  '.continue': 'continue',
  '.vscode': 'vscode',
  '.zed': 'zed',
  '.idea': 'jetbrains',
  '.git': 'git',
};
