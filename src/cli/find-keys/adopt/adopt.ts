/**
 * `--adopt`: keys go into the vault, the settings that held them are turned to Postern. In an order
 * that loses nothing: first every key is in the vault, then every file has its backup, then the
 * journal is written, and only then a file changes.
 */
import { basename } from 'node:path';
import { describeError } from '../../../base/errors.ts';
import { newId } from '../../../base/ids.ts';
import type { Secret } from '../../../base/secret.ts';
import type { ApiClient } from '../../client.ts';
import type { CliContext } from '../../context.ts';
import { CliFailure, EXIT } from '../../failure.ts';
import { textAt } from '../../fields.ts';
import { redactText } from '../redact.ts';
import type { Finding } from '../shapes.ts';
import type { Providers } from './choose-provider.ts';
import { type Draft, Drafts, journalFile, writeBackup, writeDraft } from './drafts.ts';
import { type Journal, writeJournal } from './journal.ts';
import { planEdit } from './plan-edit.ts';

export interface AdoptOptions {
  readonly context: CliContext;
  readonly api: ApiClient;
  readonly stateDir: string;
  /** Postern's origin, as the clients use it. */
  readonly origin: string;
  /** What the clients present to Postern. */
  readonly credential: Secret;
  readonly providers: Providers;
  /** Asked for each finding that can be adopted. */
  readonly agree: (finding: Finding) => Promise<'yes' | 'no' | 'stop'>;
}

export interface AdoptResult {
  readonly adopted: readonly Finding[];
  /** Findings that stay, and why. */
  readonly left: readonly { readonly finding: Finding; readonly why: string }[];
  /** Null where nothing was changed. */
  readonly journal: Journal | null;
}

/** Fails with the server's answer if a key is refused: then no file has changed. */
export async function adoptKeys(findings: readonly Finding[], options: AdoptOptions): Promise<AdoptResult> {
  const drafts = new Drafts();
  const adopted: Finding[] = [];
  const left: { finding: Finding; why: string }[] = [];
  let stopped = false;
  for (const finding of findings) {
    const why: string | null = stopped ? 'not asked' : await plan(finding, drafts, options);
    if (why === null) adopted.push(finding);
    else left.push({ finding, why: why === STOP ? 'not asked' : why });
    stopped ||= why === STOP;
  }
  if (adopted.length === 0) return { adopted, left, journal: null };
  const keys = await storeKeys(adopted, options);
  return { adopted, left, journal: changeFiles(drafts.changed(), keys, options) };
}

const STOP = 'stop';

/** Null if the finding is now part of the drafts, else why not. */
async function plan(
  finding: Finding,
  drafts: Drafts,
  { origin, credential, agree }: AdoptOptions,
): Promise<string | null> {
  const { place, service, client } = finding;
  if (place.type === 'environment')
    return 'it is set where this program was started: see the start-up files of the shell';
  if (place.type === 'git') return 'a key in the history is only reported: rotate it';
  if (client === 'backup') return 'it is a backup';
  const draft = drafts.open(place.path);
  if ('refused' in draft) return draft.refused;
  const key = finding.secret.reveal();
  // Replaced together with another place of the same key in this file, to which was agreed.
  if (!draft.text.includes(key)) return null;
  const edit = planEdit({
    path: place.path,
    text: draft.text,
    key,
    service,
    client,
    origin,
    credential: credential.reveal(),
  });
  if ('refused' in edit) return edit.refused;
  const { also } = edit;
  const other = also === undefined ? null : drafts.open(also.path);
  if (other !== null && 'refused' in other) return `${basename(also?.path ?? '')}: ${other.refused}`;
  const otherText = also === undefined || other === null ? null : tryEdit(other, also);
  if (also !== undefined && otherText === null) return `${basename(also.path)} cannot be changed safely`;
  const answer = await agree(finding);
  if (answer !== 'yes') return answer === 'stop' ? STOP : 'you said no';
  draft.text = edit.text;
  if (other !== null && otherText !== null) other.text = otherText;
  return null;
}

function tryEdit(draft: Draft, also: { edit(text: string | null): string | null }): string | null {
  try {
    const exists = draft.original !== null || draft.text !== '';
    return also.edit(exists ? draft.text : null);
  } catch {
    return null;
  }
}

/** Puts every distinct key into the vault; returns their ids. Every provider is known before the first is sent. */
async function storeKeys(
  adopted: readonly Finding[],
  { api, providers, context }: AdoptOptions,
): Promise<readonly string[]> {
  const byKey = new Map(adopted.toReversed().map((finding) => [finding.secret.reveal(), finding] as const));
  const wanted = [...byKey.values()]
    .toReversed()
    .map((finding) => ({ finding, provider: providers.providerFor(finding.service) }));
  const today = new Date(context.clock.now()).toISOString().slice(0, 10);
  const supplied = new Set<string>();
  const ids: string[] = [];
  for (const { finding, provider } of wanted) {
    // A provider that works keeps its key in use; another waits for `keys promote`.
    const state = providers.hasKey(provider) || supplied.has(provider) ? 'staged' : 'active';
    supplied.add(provider);
    const answer = await api.post('/api/v1/keys', {
      provider,
      name: `found ${today}${finding.client === null ? '' : ` ${finding.client}`}`,
      secret: finding.secret.reveal(),
      state,
    });
    const id = textAt(answer, 'id');
    if (id !== null) ids.push(id);
  }
  return ids;
}

function changeFiles(
  drafts: readonly Draft[],
  keys: readonly string[],
  { context, stateDir }: AdoptOptions,
): Journal {
  const id = newId('adopt', context.clock, context.random);
  const files = drafts.map((draft) => journalFile(draft, id));
  const journal: Journal = { id, at: new Date(context.clock.now()).toISOString(), keys, files };
  try {
    drafts.forEach((draft, index) => {
      const file = files[index];
      if (file !== undefined) writeBackup(draft, file);
    });
    writeJournal(stateDir, journal);
  } catch (error) {
    throw unfinished(`no file was changed: ${redactText(describeError(error))}`, keys, error);
  }
  for (const draft of drafts) {
    try {
      if (!writeDraft(draft, id)) throw new Error('it changed meanwhile');
    } catch (error) {
      throw unfinished(
        `${redactText(draft.path)} was not changed: ${redactText(describeError(error))}`,
        keys,
        error,
      );
    }
  }
  return journal;
}

function unfinished(message: string, keys: readonly string[], cause: unknown): CliFailure {
  return new CliFailure(message, {
    exit: EXIT.failed,
    code: 'cli_find_keys_unfinished',
    fix: `The keys are in the vault (${keys.join(', ')}). \`postern find-keys --undo\` restores what was changed`,
    cause,
  });
}
