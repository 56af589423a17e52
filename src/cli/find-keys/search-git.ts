/**
 * Keys in everything that a repository keeps: every object, also those that no branch reaches any
 * more, and the messages of commits and tags. What is found is then looked up in the log: which
 * path, which commit first, and whether the checked-out commit still has it.
 */
import { clientOfPath } from './client-places.ts';
import type { GitProgram } from './git-program.ts';
import { type Deadline, FINDINGS_MAX, OBJECT_MAX_BYTES, OBJECTS_MAX } from './limits.ts';
import { readGitObjects, readPieces } from './read-git-objects.ts';
import { decodeText } from './read-text-file.ts';
import { searchText, type TextFinding } from './search-text.ts';
import type { Finding, GitPlace } from './shapes.ts';

export interface GitSearch {
  readonly git: GitProgram;
  /** Folder of the repository, absolute, without symbolic links. */
  readonly repository: string;
  readonly all: boolean;
  readonly deadline: Deadline;
  readonly onProgress: (objects: number, total: number) => void;
}

export interface GitSearchResult {
  readonly findings: readonly Finding[];
  readonly objects: number;
  /** Objects that were too large. */
  readonly large: number;
  /** False if git refused it: owned by somebody else, damaged, or no repository. */
  readonly readable: boolean;
  readonly stoppedBy: string | null;
}

const LINE_MAX_BYTES = 64 * 1024;
const PROGRESS_EVERY = 500;

/** What an object holds, and in which kind of object. */
interface Hit {
  readonly object: string;
  readonly holder: GitPlace['holder'];
  /** When a commit or tag was made; null for files, whose commits the log names. */
  readonly madeAt: string | null;
  readonly found: TextFinding;
}

export async function searchGit(search: GitSearch): Promise<GitSearchResult> {
  const listed = await listObjects(search);
  const { hits, objects, stoppedBy } = await searchObjects(search, listed.names);
  const findings = hits.length === 0 ? [] : await placeHits(search, hits, listed.commits);
  return {
    findings,
    objects,
    large: listed.large,
    readable: listed.succeeded,
    stoppedBy: stoppedBy ?? listed.stoppedBy ?? search.deadline.reached(),
  };
}

/** Names of all objects that may hold text. */
async function listObjects({ git, repository, deadline }: GitSearch): Promise<{
  readonly names: readonly string[];
  readonly commits: readonly string[];
  readonly large: number;
  readonly succeeded: boolean;
  readonly stoppedBy: string | null;
}> {
  const run = git.start(
    repository,
    [
      'cat-file',
      '--batch-all-objects',
      '--batch-check=%(objectname) %(objecttype) %(objectsize)',
      '--unordered',
      '--buffer',
    ],
    deadline.signal,
  );
  run.stdin.end();
  const names: string[] = [];
  const commits: string[] = [];
  let large = 0;
  let stoppedBy: string | null = null;
  for await (const line of readPieces(run.stdout, '\n', LINE_MAX_BYTES)) {
    const [name, type, size] = line.split(' ');
    if (name === undefined || (type !== 'blob' && type !== 'commit' && type !== 'tag')) continue;
    if (Number(size) > OBJECT_MAX_BYTES) large += 1;
    else if (names.length < OBJECTS_MAX) names.push(name);
    else stoppedBy = `a repository has more than ${OBJECTS_MAX} objects`;
    if (type === 'commit') commits.push(name);
    stoppedBy ??= deadline.reached();
    if (stoppedBy !== null) break;
  }
  if (stoppedBy !== null) run.stop();
  const succeeded = await run.succeeded;
  return { names, commits, large, succeeded: succeeded || stoppedBy !== null, stoppedBy };
}

async function searchObjects(
  { git, repository, all, deadline, onProgress }: GitSearch,
  names: readonly string[],
): Promise<{ readonly hits: readonly Hit[]; readonly objects: number; readonly stoppedBy: string | null }> {
  const hits: Hit[] = [];
  if (names.length === 0) return { hits, objects: 0, stoppedBy: null };
  const run = git.start(repository, ['cat-file', '--batch', '--buffer'], deadline.signal);
  run.stdin.end(`${names.join('\n')}\n`);
  let objects = 0;
  let stoppedBy: string | null = null;
  for await (const { name, type, content } of readGitObjects(run.stdout)) {
    objects += 1;
    if (objects % PROGRESS_EVERY === 0) onProgress(objects, names.length);
    const text = decodeText(content)?.text;
    if (text !== undefined) {
      const holder = type === 'commit' || type === 'tag' ? type : 'file';
      for (const found of searchText(text, { client: null, all }))
        hits.push({ object: name, holder, madeAt: holder === 'file' ? null : madeAt(text), found });
    }
    stoppedBy = hits.length > FINDINGS_MAX ? `more than ${FINDINGS_MAX} keys were found` : deadline.reached();
    if (stoppedBy !== null) break;
  }
  run.stop();
  await run.succeeded;
  stoppedBy ??= objects < names.length ? 'git ended early' : null;
  return { hits, objects, stoppedBy };
}

/** The time in the header of a commit or tag (gitformat-commit: seconds and offset after the name). */
function madeAt(text: string): string | null {
  const seconds = Number(/\n(?:committer|tagger) [^\n]{0,500}> (\d{1,11}) [+-]\d{4}\n/.exec(text)?.[1]);
  return Number.isFinite(seconds) ? new Date(seconds * 1_000).toISOString() : null;
}

/** A version of a file that the log names. */
interface Version {
  readonly path: string;
  readonly commit: string;
  readonly since: string;
}

/** One finding for each key and path. */
async function placeHits(
  search: GitSearch,
  hits: readonly Hit[],
  commits: readonly string[],
): Promise<readonly Finding[]> {
  const wanted = new Set(hits.map(({ object }) => object));
  const versions = await firstVersions(search, wanted, commits);
  const current = await currentObjects(search, wanted);
  const merged = new Map<string, { finding: Finding; place: GitPlace }>();
  for (const hit of hits) {
    const named = hit.holder === 'file' ? (versions.get(hit.object) ?? []) : [];
    for (const version of named.length === 0 ? [null] : named) {
      const place = placeOf(search.repository, hit, version, current.has(hit.object));
      const key = `${place.path ?? hit.holder}\n${hit.found.secret.reveal()}`;
      const former = merged.get(key);
      const joined = former === undefined ? place : joinPlaces(former.place, place);
      merged.set(key, { finding: findingAt(hit.found, joined), place: joined });
    }
  }
  return [...merged.values()].map(({ finding }) => finding);
}

function placeOf(repository: string, hit: Hit, version: Version | null, current: boolean): GitPlace {
  return {
    type: 'git',
    repository,
    path: version?.path ?? null,
    line: hit.found.line,
    commit: version?.commit ?? (hit.holder === 'commit' ? hit.object : null),
    since: version?.since ?? hit.madeAt,
    versions: 1,
    current,
    holder: hit.holder,
  };
}

/** The earlier place stands for both. */
function joinPlaces(a: GitPlace, b: GitPlace): GitPlace {
  const first = Date.parse(b.since ?? '') < Date.parse(a.since ?? '') ? b : a;
  return { ...first, versions: a.versions + b.versions, current: a.current || b.current };
}

function findingAt(found: TextFinding, place: GitPlace): Finding {
  const { service, kind, confidence, secret, setting } = found;
  return {
    service,
    kind,
    confidence,
    secret,
    setting,
    place,
    client: place.path === null ? null : clientOfPath(`/${place.path}`),
  };
}

const COMMIT_HEAD = /(?:^|\n)commit=([0-9a-f]{40,64}) (\S{10,40})(?:\n|$)/;

/** Paths of one object; more say nothing new. */
const PATHS_MAX = 20;

/**
 * For every wanted object its paths, each with the first commit that has it there. Read from the
 * log of all commits: `NUL commit=<commit> SP <time> LF :<modes> <old> <new> <status> NUL <path> NUL …`
 */
async function firstVersions(
  { git, repository, deadline }: GitSearch,
  wanted: ReadonlySet<string>,
  commits: readonly string[],
): Promise<ReadonlyMap<string, readonly Version[]>> {
  const run = git.start(
    repository,
    [
      'log',
      '--stdin',
      // Each commit by itself, also those that no branch reaches any more.
      '--no-walk=unsorted',
      '--raw',
      '-z',
      '-m',
      '--no-abbrev',
      '--no-renames',
      '--no-ext-diff',
      '--no-textconv',
      '--no-show-signature',
      '--format=format:commit=%H %cI',
    ],
    deadline.signal,
  );
  run.stdin.end(`${commits.join('\n')}\n`);
  const versions = new Map<string, Map<string, Version>>();
  let commit = '';
  let since = '';
  let object: string | null = null;
  for await (const piece of readPieces(run.stdout, '\0', LINE_MAX_BYTES)) {
    if (object !== null) {
      const path = Buffer.from(piece, 'latin1').toString('utf8');
      noteVersion(versions, object, { path, commit, since });
      object = null;
      continue;
    }
    const head = COMMIT_HEAD.exec(piece);
    if (head !== null) [, commit = '', since = ''] = head;
    const change = /:\d{6} \d{6} [0-9a-f]{40,64} ([0-9a-f]{40,64}) [A-Z]\d{0,3}$/.exec(piece);
    if (change !== null) object = change[1] ?? null;
    if (object !== null && !wanted.has(object)) object = '';
    if (deadline.reached() !== null) break;
  }
  run.stop();
  await run.succeeded;
  return new Map([...versions].map(([name, byPath]) => [name, [...byPath.values()]]));
}

/** An empty object is one that nobody asked for. */
function noteVersion(versions: Map<string, Map<string, Version>>, object: string, version: Version): void {
  if (object === '') return;
  const byPath = versions.get(object) ?? new Map<string, Version>();
  const former = byPath.get(version.path);
  if (former === undefined && byPath.size >= PATHS_MAX) return;
  if (former === undefined || Date.parse(version.since) <= Date.parse(former.since))
    byPath.set(version.path, version);
  versions.set(object, byPath);
}

/** Those of the wanted objects that the checked-out commit has. */
async function currentObjects(
  { git, repository, deadline }: GitSearch,
  wanted: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const run = git.start(repository, ['ls-tree', '-r', '-z', 'HEAD'], deadline.signal);
  run.stdin.end();
  const current = new Set<string>();
  for await (const line of readPieces(run.stdout, '\0', LINE_MAX_BYTES)) {
    // `<mode> SP <type> SP <object> TAB <path>`
    const name = line.slice(0, Math.max(0, line.indexOf('\t'))).split(' ')[2];
    if (name !== undefined && wanted.has(name)) current.add(name);
  }
  run.stop();
  await run.succeeded;
  return current;
}
