/** What was found, for people and for programs. A key appears only redacted, whatever holds it. */
import { printable } from '../output.ts';
import type { CliContext } from '../context.ts';
import { CLIENT_TITLES } from './client-places.ts';
import { redactKey, redactText } from './redact.ts';
import { numberKeys } from './search.ts';
import { serviceById } from './services.ts';
import type { Finding, GitPlace, Place, SearchResult } from './shapes.ts';

/** Permission bits by which others than the owner read or write. */
const OPEN_TO_OTHERS = 0o066;

export interface ReportItem {
  readonly number: number;
  readonly finding: Finding;
}

/** Text of one finding: the key, whose it is, where it is, and what is wrong there. */
export function describeFinding({ number, finding }: ReportItem, context: CliContext): string {
  const title = serviceById(finding.service)?.title ?? finding.service;
  const client = finding.client === null ? '' : ` (${CLIENT_TITLES[finding.client]})`;
  const head = `#${number}  ${redactKey(finding.secret.reveal())}  ${title} ${finding.kind}${finding.confidence === 'heuristic' ? ', by its name only' : ''}`;
  const setting = finding.setting === null ? '' : ` in ${finding.setting}`;
  const lines = [head, `    ${showPlace(finding.place, context)}${setting}${client}`];
  // Source is open to others by its nature; settings are not.
  const mode = finding.client === null ? null : looseMode(finding.place);
  if (mode !== null) lines.push(`    others may read this file (${mode}): chmod 600`);
  if (finding.place.type === 'git') lines.push(`    ${showHistory(finding.place)}`);
  return lines.map((line) => printable(clean(line, finding))).join('\n');
}

/** What remains to be done, once for all findings. */
export function adviceLines(result: SearchResult, adopted: boolean): readonly string[] {
  const lines: string[] = [];
  if (result.findings.some(({ place }) => place.type === 'git'))
    lines.push(
      'A key in the history of a repository is known to everyone who has a copy: rotate it at its service. Rewriting the history does not call it back.',
    );
  if (result.findings.some(({ client }) => client === 'backup'))
    lines.push(
      'Backups of `find-keys --adopt` hold the keys that it took out: delete them when you no longer want `--undo`, or rotate the keys.',
    );
  if (!adopted && result.findings.some(({ place }) => place.type === 'file'))
    lines.push('`postern find-keys --adopt` puts provider keys into the vault and the clients onto Postern.');
  return lines;
}

/** One line that says what was looked at. */
export function summaryLine(result: SearchResult): string {
  const keys = new Set(result.findings.map(({ secret }) => secret.reveal())).size;
  const places = result.findings.length;
  const where = [
    `${result.files} files`,
    ...(result.repositories === 0
      ? []
      : [`${result.objects} objects of ${result.repositories} repositories`]),
  ];
  const found =
    keys === 0
      ? 'no keys found'
      : `${keys} ${keys === 1 ? 'key' : 'keys'} in ${places} ${places === 1 ? 'place' : 'places'}`;
  return `${found}; searched ${where.join(' and ')}`;
}

/** Lines on what was not searched. */
export function skippedLines(result: SearchResult, context: CliContext): readonly string[] {
  return result.skipped.map(({ reason, count, example }) =>
    printable(`not searched: ${count} x ${reason}, for example ${showPath(example, context)}`),
  );
}

/** The report as data. */
export function reportJson(result: SearchResult, context: CliContext): Record<string, unknown> {
  const numbers = numberKeys(result.findings);
  return {
    findings: result.findings.map((finding) =>
      findingJson({ number: numbers.get(finding) ?? 0, finding }, context),
    ),
    searched: { files: result.files, repositories: result.repositories, objects: result.objects },
    skipped: result.skipped.map(({ reason, count, example }) => ({
      reason,
      count,
      example: showPath(example, context),
    })),
    complete: result.stoppedBy === null,
    stopped_by: result.stoppedBy,
  };
}

/** One finding as data; `key_number` is equal where the key is. */
export function findingJson({ number, finding }: ReportItem, context: CliContext): Record<string, unknown> {
  const { place } = finding;
  const safe = (text: string | null): string | null => (text === null ? null : clean(text, finding));
  return {
    key_number: number,
    key: redactKey(finding.secret.reveal()),
    service: safe(finding.service),
    kind: finding.kind,
    confidence: finding.confidence,
    client: finding.client,
    setting: safe(finding.setting),
    place: place.type,
    ...(place.type === 'environment' ? { variable: safe(place.variable) } : {}),
    ...(place.type === 'file'
      ? {
          path: safe(showPath(place.path, context)),
          line: place.line,
          column: place.column,
          mode: place.mode === null ? null : octal(place.mode),
          open_to_others: looseMode(place) !== null,
        }
      : {}),
    ...(place.type === 'git'
      ? {
          repository: safe(showPath(place.repository, context)),
          path: safe(place.path),
          line: place.line,
          commit: place.commit,
          since: place.since,
          versions: place.versions,
          current: place.current,
          holder: place.holder,
        }
      : {}),
  };
}

/** A path with `~` for the home and keys redacted. */
export function showPath(path: string, context: CliContext): string {
  const home = context.homedir;
  return redactText(path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path);
}

function showPlace(place: Place, context: CliContext): string {
  if (place.type === 'environment') return `environment: ${redactText(place.variable)}`;
  if (place.type === 'file') return `${showPath(place.path, context)}:${place.line}`;
  return `${showPath(place.repository, context)}: ${showWithin(place)}`;
}

function showWithin({ path, line, holder }: GitPlace): string {
  if (path !== null) return `${redactText(path)}:${line}`;
  return holder === 'file' ? 'an object that no commit names' : `message of a ${holder}`;
}

function showHistory({ commit, since, versions, current }: GitPlace): string {
  const from = since === null ? 'in git, no commit names it' : `in git since ${since.slice(0, 10)}`;
  const by = commit === null ? '' : ` (${commit.slice(0, 12)})`;
  return `${from}${by}, ${versions} ${versions === 1 ? 'version' : 'versions'}, ${current ? 'still checked in' : 'no longer checked in'}`;
}

function looseMode(place: Place): string | null {
  if (place.type !== 'file' || place.mode === null) return null;
  return (place.mode & OPEN_TO_OTHERS) === 0 ? null : octal(place.mode);
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** A name or path may itself hold the key, in a shape that only its finding knows. */
function clean(text: string, { secret }: Finding): string {
  const key = secret.reveal();
  return text.replaceAll(key, redactKey(key));
}
