/** The whole search: environment, the user's own settings, the named folders, and their history. */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { dirname, join, matchesGlob, relative, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CliContext } from '../context.ts';
import { usageFailure } from '../failure.ts';
import { clientOfPath, clientPlaces, type ClientPlace, isDotenv } from './client-places.ts';
import { createGitProgram } from './git-program.ts';
import { type Deadline, DEPTH_MAX, FILES_MAX, FINDINGS_MAX, REPOSITORIES_MAX } from './limits.ts';
import { readTextFile } from './read-text-file.ts';
import { redactText } from './redact.ts';
import { searchGit } from './search-git.ts';
import { searchText } from './search-text.ts';
import type { ClientId, Finding, SearchResult, Skipped, SkipReason } from './shapes.ts';
import { walkFolder } from './walk-folder.ts';

export interface SearchOptions {
  /** Folders and files; absolute. */
  readonly paths: readonly string[];
  /** The environment and the user's own settings, too. */
  readonly home: boolean;
  readonly git: boolean;
  readonly nodeModules: boolean;
  /** Globs of paths, within a named folder or a repository, that are left out. */
  readonly ignore: readonly string[];
  /** Also what is no provider's key. */
  readonly all: boolean;
  readonly deadline: Deadline;
  /** Told from time to time what is being done; never given a key. */
  readonly onProgress: (text: string) => void;
}

/** Levels of a client's own folder that are searched. */
const CLIENT_FOLDER_DEPTH = 3;
/** Files between two looks at the clock. */
const FILES_PER_TURN = 64;

/** Throws `cli_usage` for a path that is not there. */
export async function searchKeys(context: CliContext, options: SearchOptions): Promise<SearchResult> {
  const roots = options.paths.map(resolveRoot);
  const search = new Search(context, options, roots);
  if (options.home) await search.searchHome();
  for (const root of roots) await search.searchFolder(root);
  if (options.git) await search.searchRepositories();
  return search.result();
}

function resolveRoot(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw usageFailure(`there is no ${redactText(path)}`, 'Name folders or files that exist');
  }
}

class Search {
  readonly #context: CliContext;
  readonly #options: SearchOptions;
  readonly #roots: readonly string[];
  readonly #findings: Finding[] = [];
  readonly #seen = new Set<string>();
  readonly #repositories = new Set<string>();
  readonly #skipped = new Map<SkipReason, { count: number; example: string }>();
  #files = 0;
  #objects = 0;
  #searchedRepositories = 0;
  #stoppedBy: string | null = null;

  constructor(context: CliContext, options: SearchOptions, roots: readonly string[]) {
    this.#context = context;
    this.#options = options;
    this.#roots = roots;
  }

  async searchHome(): Promise<void> {
    this.#searchEnvironment();
    const home = realOrNull(this.#context.homedir);
    for (const place of clientPlaces(this.#context)) {
      if (this.#stop()) return;
      await this.#searchPlace(place, home);
    }
    if (home === null) return;
    for (const step of walkFolder(home, { nodeModules: false, depthMax: 0 }))
      if (step.type === 'file' && isDotenv(step.path.slice(home.length + 1)))
        this.#searchFile(step.path, 'dotenv');
  }

  async searchFolder(root: string): Promise<void> {
    if (!lstatSync(root).isDirectory()) {
      this.#searchFile(root, clientOfPath(root));
      if (this.#options.git) this.#noteEnclosingRepository(dirname(root));
      return;
    }
    if (this.#options.git) this.#noteEnclosingRepository(root);
    for (const step of walkFolder(root, { nodeModules: this.#options.nodeModules, depthMax: DEPTH_MAX })) {
      if (step.type === 'skipped') this.#skip(step.reason, step.path);
      else if (step.type === 'git') this.#noteRepository(step.path);
      else if (this.#isIgnored(relative(root, step.path))) this.#skip('ignored', step.path);
      else this.#searchFile(step.path, clientOfPath(step.path));
      if (this.#files % FILES_PER_TURN === 0) await this.#turn(root);
      if (this.#stop()) return;
    }
  }

  async searchRepositories(): Promise<void> {
    const git = createGitProgram(this.#context.env);
    for (const repository of this.#repositories) {
      if (this.#searchedRepositories >= REPOSITORIES_MAX)
        this.#stoppedBy ??= `there are more than ${REPOSITORIES_MAX} repositories`;
      if (this.#stop()) return;
      const shown = redactText(repository);
      const { deadline, all, onProgress } = this.#options;
      const found = await searchGit({
        git,
        repository,
        all,
        deadline,
        onProgress: (objects, total) => onProgress(`${shown}: ${objects} of ${total} objects`),
      });
      if (!found.readable) {
        this.#skip('repository not readable', repository);
        this.#stoppedBy ??= deadline.reached();
        continue;
      }
      this.#searchedRepositories += 1;
      this.#objects += found.objects;
      if (found.large > 0) this.#skip('too large', repository, found.large);
      this.#stoppedBy ??= found.stoppedBy;
      const kept = found.findings.filter(
        ({ place }) => place.type !== 'git' || place.path === null || !this.#isIgnored(place.path),
      );
      const ignored = found.findings.length - kept.length;
      if (ignored > 0) this.#skip('ignored', repository, ignored);
      this.#findings.push(...kept.slice(0, FINDINGS_MAX - this.#findings.length));
    }
  }

  result(): SearchResult {
    const skipped = [...this.#skipped].map(([reason, { count, example }]): Skipped => ({
      reason,
      count,
      example,
    }));
    const unread = this.#skipped.get('repository not readable');
    return {
      findings: this.#findings,
      files: this.#files,
      repositories: this.#searchedRepositories,
      objects: this.#objects,
      skipped,
      stoppedBy:
        this.#stoppedBy ??
        (unread === undefined
          ? null
          : `git could not read ${unread.count === 1 ? 'a repository' : `${unread.count} repositories`}`),
    };
  }

  #searchEnvironment(): void {
    for (const [variable, value] of Object.entries(this.#context.env)) {
      if (value === undefined || value.length < 16) continue;
      // Those are how Postern itself is told who calls.
      if (variable.startsWith('POSTERN_')) continue;
      // With its name before it, as in a file, so that keys without a shape are known by the name.
      const text = `${variable}=${value}`;
      for (const { service, kind, confidence, secret } of searchText(text, {
        client: null,
        all: this.#options.all,
      })) {
        const setting = variable;
        this.#findings.push({
          service,
          kind,
          confidence,
          secret,
          setting,
          client: null,
          place: { type: 'environment', variable },
        });
      }
    }
  }

  async #searchPlace(place: ClientPlace, home: string | null): Promise<void> {
    const path = realOrNull(place.path);
    if (path === null) return;
    // A dotfile may be a link into a folder of dotfiles; one that leads out of the home is not followed.
    if (
      path !== place.path &&
      home !== null &&
      place.path.startsWith(this.#context.homedir + sep) &&
      !isWithin(path, home)
    ) {
      this.#skip('symbolic link', place.path);
      return;
    }
    if (place.folder !== true) {
      this.#searchFile(path, place.client);
      return;
    }
    if (!lstatSync(path).isDirectory()) return;
    for (const step of walkFolder(path, { nodeModules: false, depthMax: CLIENT_FOLDER_DEPTH })) {
      if (step.type === 'file' && CLIENT_FILE.test(step.path)) this.#searchFile(step.path, place.client);
      if (this.#files % FILES_PER_TURN === 0) await this.#turn(path);
      if (this.#stop()) return;
    }
  }

  #searchFile(path: string, client: ClientId | null): void {
    if (this.#seen.has(path)) return;
    this.#seen.add(path);
    if (this.#files >= FILES_MAX) {
      this.#stoppedBy ??= `there are more than ${FILES_MAX} files`;
      return;
    }
    const file = readTextFile(path);
    if (file === null) return;
    this.#files += 1;
    if ('skip' in file) {
      this.#skip(file.skip, path);
      return;
    }
    const mode = this.#context.platform === 'win32' ? null : file.mode;
    for (const { line, column, ...found } of searchText(file.text, { client, all: this.#options.all })) {
      if (this.#findings.length >= FINDINGS_MAX) {
        this.#stoppedBy ??= `more than ${FINDINGS_MAX} keys were found`;
        return;
      }
      this.#findings.push({ ...found, client, place: { type: 'file', path, line, column, mode } });
    }
  }

  /** `.git` of a work tree is a folder, or a file that says where the folder is. */
  #noteRepository(gitPath: string): void {
    const folder = dirname(gitPath);
    this.#searchFile(join(gitPath, 'config'), 'git');
    if (!this.#options.git) return;
    const isFile = lstatSync(gitPath).isFile();
    const elsewhere =
      isFile &&
      !this.#roots.includes(folder) &&
      !this.#roots.some((root) => isWithin(gitFolderOf(gitPath), root));
    if (elsewhere) this.#skip('repository elsewhere', folder);
    else this.#repositories.add(folder);
  }

  /** A folder within a repository stands for the repository; a bare one is one by itself. */
  #noteEnclosingRepository(folder: string): void {
    if (
      existsSync(join(folder, 'HEAD')) &&
      existsSync(join(folder, 'objects')) &&
      existsSync(join(folder, 'refs'))
    ) {
      this.#repositories.add(folder);
      return;
    }
    for (let at = folder; ; at = dirname(at)) {
      if (existsSync(join(at, '.git'))) {
        this.#repositories.add(at);
        return;
      }
      if (dirname(at) === at) return;
    }
  }

  /** `path` within its folder or repository. */
  #isIgnored(path: string): boolean {
    return this.#options.ignore.some(
      (glob) => matchesGlob(path, glob) || path.startsWith(`${glob.replace(/\/$/, '')}/`),
    );
  }

  #skip(reason: SkipReason, path: string, count = 1): void {
    const former = this.#skipped.get(reason);
    if (former === undefined) this.#skipped.set(reason, { count, example: path });
    else former.count += count;
  }

  #stop(): boolean {
    this.#stoppedBy ??= this.#options.deadline.reached();
    return this.#stoppedBy !== null;
  }

  /** Lets an interrupt in. */
  async #turn(root: string): Promise<void> {
    this.#options.onProgress(`${redactText(root)}: ${this.#files} files`);
    await nextTurn();
  }
}

/** Of a client's own folder only what holds settings: not its caches, logs and models. */
const CLIENT_FILE =
  /\.(?:json|jsonc|ya?ml|toml|xml|env|conf|ini|properties|fish|sh|txt)$|\.env(?:\.[\w-]{1,30})?$/i;

function gitFolderOf(gitFile: string): string {
  const file = readTextFile(gitFile);
  const named = file !== null && 'text' in file ? /^gitdir: ([^\n]{1,4096})/.exec(file.text)?.[1] : undefined;
  return named === undefined
    ? ''
    : (realOrNull(named.startsWith('/') ? named : join(dirname(gitFile), named)) ?? '');
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function realOrNull(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

/** Keys as they are told apart in a report: equal keys have one number, from 1. */
export function numberKeys(findings: readonly Finding[]): ReadonlyMap<Finding, number> {
  const numbers = new Map<string, number>();
  return new Map(
    findings.map((finding) => {
      const key = finding.secret.reveal();
      const number = numbers.get(key) ?? numbers.size + 1;
      numbers.set(key, number);
      return [finding, number] as const;
    }),
  );
}
