/** Documents that live in the store: versions, checked saves, rollback. */
import { AppError } from '../../base/errors.ts';
import type { Caller } from '../../identity/caller.ts';
import {
  diffDocuments,
  liftSecrets,
  type LiftedSecret,
  type PolicySnapshot,
  type Problem,
  redactSecrets,
} from '../../policy/index.ts';
import type {
  DocumentActor,
  DocumentFault,
  Documents,
  DocumentText,
  SaveRequest,
  SaveResult,
  Validation,
  VersionInfo,
  VersionsPage,
} from './documents.ts';
import { DocumentError } from './errors.ts';
import type { OpenDocumentsOptions } from './open-documents.ts';
import { type Draft, etagOf, PolicyInForce, summarise } from './policy-in-force.ts';

const VERSIONS_DEFAULT = 100;
const VERSIONS_MAX = 500;
const COMMENT_MAX_LENGTH = 500;

export class StoreDocuments implements Documents {
  readonly #options: OpenDocumentsOptions;
  readonly #inForce: PolicyInForce;
  #version = 0;
  /** One change after another: a save reads what the one before wrote. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: OpenDocumentsOptions) {
    this.#options = options;
    this.#inForce = new PolicyInForce(options, 'api');
  }

  async open(): Promise<void> {
    this.#inForce.useGrants(await this.#options.store.listGrants());
    await this.reload();
  }

  current(): PolicySnapshot {
    return this.#inForce.snapshot;
  }

  version(): number {
    return this.#version;
  }

  etag(): string {
    return etagOf(`${this.#version}\n${this.#inForce.text}`);
  }

  lastError(): DocumentFault | null {
    return this.#inForce.fault;
  }

  problems(): readonly Problem[] {
    return this.#inForce.problems;
  }

  text(): DocumentText {
    return {
      text: this.#version === 0 ? '' : redactSecrets(this.#inForce.text),
      version: this.#version,
      etag: this.etag(),
      source: this.#version === 0 ? 'none' : 'store',
      path: null,
    };
  }

  validate(text: string, actor?: DocumentActor): Promise<Validation> {
    const draft = this.#inForce.draft(text);
    const refusing = refusingProblems(draft.parsed.problems);
    const lockedOut = actor !== undefined && this.#locksOut(draft, actor.caller);
    return Promise.resolve({
      ok: refusing.length === 0 && draft.testFailures.length === 0 && !lockedOut,
      problems: draft.parsed.problems,
      testFailures: draft.testFailures,
    });
  }

  save(request: SaveRequest): Promise<SaveResult> {
    return this.#change(async () => {
      if (request.expectedVersion !== this.#version) throw conflict(request.expectedVersion, this.#version);
      this.#refuse(this.#inForce.draft(request.text), request.actor.caller);
      const { text, lifted } = liftSecrets(request.text);
      const version = await this.#putWithKeys(text, lifted, request);
      const draft = this.#inForce.draft(text);
      this.#version = version;
      this.#inForce.use(draft);
      return { version, etag: this.etag(), notes: draft.parsed.problems };
    });
  }

  async versions({ limit = VERSIONS_DEFAULT, before = null }: VersionsPage = {}): Promise<
    readonly VersionInfo[]
  > {
    const rows = await this.#options.store.listDocuments(this.#options.tailnet, {
      limit: Math.min(Math.max(1, limit), VERSIONS_MAX),
      before,
    });
    return rows.map(({ version, createdAt, createdBy, comment }) => ({
      version,
      createdAt,
      createdBy,
      comment,
    }));
  }

  async versionText(version: number): Promise<string | null> {
    if (!Number.isSafeInteger(version) || version < 1) return null;
    const row = await this.#options.store.getDocument(this.#options.tailnet, version);
    return row === null ? null : redactSecrets(row.text);
  }

  async diff(from: number, to: number): Promise<string> {
    const [before, after] = [await this.#textOf(from), await this.#textOf(to)];
    return diffDocuments(before, after, { before: `version ${from}`, after: `version ${to}` });
  }

  async rollback(request: Omit<SaveRequest, 'text'> & { readonly version: number }): Promise<SaveResult> {
    const { version, ...rest } = request;
    const text = await this.#textOf(version);
    return this.save({
      ...rest,
      text,
      comment: rest.comment === '' ? `rollback to version ${version}` : rest.comment,
    });
  }

  async reloadGrants(): Promise<void> {
    this.#inForce.useGrants(await this.#options.store.listGrants());
  }

  reload(): Promise<void> {
    return this.#change(async () => {
      const latest = await this.#options.store.latestDocument(this.#options.tailnet);
      if (latest === null || latest.version === this.#version) return;
      const draft = this.#inForce.draft(latest.text);
      const errors = draft.parsed.problems.filter((problem) => problem.severity === 'error');
      this.#version = latest.version;
      if (errors.length > 0)
        this.#inForce.fail(`version ${latest.version} of the document: ${summarise(errors)}`, errors);
      else this.#inForce.use(draft);
    });
  }

  onChange(listener: (policy: PolicySnapshot) => void): () => void {
    return this.#inForce.onChange(listener);
  }

  onFault(listener: (fault: DocumentFault) => void): () => void {
    return this.#inForce.onFault(listener);
  }

  close(): void {
    // Nothing is watched.
  }

  /** Saving refuses warnings too: what is in the store was once accepted whole. */
  #refuse(draft: Draft, caller: Caller | null): void {
    const { problems } = draft.parsed;
    const refusing = refusingProblems(problems);
    if (refusing.length > 0)
      throw new DocumentError('config_invalid', `the document is refused: ${summarise(refusing)}`, {
        problems,
      });
    const { testFailures } = draft;
    if (testFailures.length > 0) {
      throw new DocumentError(
        'config_tests_failed',
        `the document's own tests fail: ${summarise([], testFailures)}`,
        { testFailures },
      );
    }
    if (this.#locksOut(draft, caller)) {
      throw new DocumentError(
        'config_locks_out',
        'with this document you would no longer be an admin; keep a grant that makes you one',
      );
    }
  }

  #locksOut(draft: Draft, caller: Caller | null): boolean {
    if (caller === null || !this.current().accessOf(caller).roles.has('admin')) return false;
    return !draft.snapshot.accessOf(caller).roles.has('admin');
  }

  /** Keys are staged first and promoted last: a document in force whose key is missing would fail its callers. */
  async #putWithKeys(text: string, lifted: readonly LiftedSecret[], request: SaveRequest): Promise<number> {
    const { vault } = this.#options;
    const staged: string[] = [];
    try {
      for (const { provider, origin, header, secret } of lifted) {
        const createdBy = request.actor.principal;
        const key = {
          provider,
          name: 'from the document',
          origin,
          header,
          secret,
          state: 'staged' as const,
          createdBy,
        };
        staged.push((await vault.add(key)).id);
      }
      const version = await this.#put(text, request);
      for (const id of staged) await vault.promote(id);
      return version;
    } catch (error) {
      await Promise.allSettled(staged.map((id) => vault.revoke(id)));
      throw error;
    }
  }

  async #put(text: string, request: SaveRequest): Promise<number> {
    const { store, tailnet, clock } = this.#options;
    const document = {
      tailnet,
      text,
      createdAt: clock.now(),
      createdBy: request.actor.principal,
      comment: request.comment.slice(0, COMMENT_MAX_LENGTH),
    };
    try {
      return await store.putDocument(document, request.expectedVersion);
    } catch (error) {
      if (error instanceof AppError && error.code === 'store_conflict')
        throw conflict(request.expectedVersion, null);
      throw error;
    }
  }

  async #textOf(version: number): Promise<string> {
    const text = await this.versionText(version);
    if (text === null)
      throw new DocumentError(
        'config_unknown_version',
        `no version ${version} of the document is kept; see postern config versions`,
      );
    return text;
  }

  #change<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}

function refusingProblems(problems: readonly Problem[]): readonly Problem[] {
  return problems.filter((problem) => problem.severity !== 'note');
}

function conflict(expected: number, got: number | null): DocumentError {
  const now = got === null ? 'somebody saved another' : `the latest is ${got}`;
  return new DocumentError(
    'config_conflict',
    `the document was edited from version ${expected}, but ${now}; load it again and repeat the change`,
  );
}
