/** A document that is a file of the operator: watched, never written; the last good text stays in force. */
import { AppError, describeError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import {
  type GatewayDocument,
  type PolicySnapshot,
  type ProviderEntry,
  type Problem,
  type SecretSource,
  type StoredGrantView,
  redactSecrets,
} from '../../policy/index.ts';
import type {
  DocumentFault,
  Documents,
  DocumentText,
  SaveResult,
  Validation,
  VersionInfo,
} from './documents.ts';
import { DocumentError } from './errors.ts';
import type { OpenDocumentsOptions } from './open-documents.ts';
import type { DocumentFiles } from './ports.ts';
import { type Draft, etagOf, PolicyInForce, summarise } from './policy-in-force.ts';

export interface FileDocumentsOptions extends OpenDocumentsOptions {
  readonly path: string;
  readonly files: DocumentFiles;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;
const SECRET_MAX_BYTES = 64 * 1024;
/** Editors write in several steps; one look after they are done. */
const SETTLE_MS = 50;
/** Network file systems and some containers report no changes. */
const POLL_MS = 5000;

export class FileDocuments implements Documents {
  readonly #options: FileDocumentsOptions;
  readonly #inForce: PolicyInForce;
  #seen: string | null = null;
  #stopWatch: () => void = () => undefined;
  #settling: NodeJS.Timeout | null = null;
  #polling: NodeJS.Timeout | null = null;
  #closed = false;
  /** Sources of the keys that the vault has from the text in force. */
  #offered: ReadonlySet<string> = new Set();
  #lastReload: Promise<void> = Promise.resolve();

  constructor(options: FileDocumentsOptions) {
    this.#options = options;
    this.#inForce = new PolicyInForce(options, 'file');
  }

  async open(): Promise<void> {
    await this.reloadGrants();
    await this.reload();
    const { files, path, logger } = this.#options;
    try {
      this.#stopWatch = files.watch(path, () => this.#settle());
    } catch (error) {
      logger.warn('the gateway document cannot be watched; it is looked at every few seconds', {
        path,
        error: describeError(error),
      });
    }
    this.#polling = setInterval(() => this.#reloadAside(), POLL_MS);
    this.#polling.unref();
  }

  current(): PolicySnapshot {
    return this.#inForce.snapshot;
  }

  version(): number {
    return 0;
  }

  etag(): string {
    return etagOf(this.#inForce.text);
  }

  lastError(): DocumentFault | null {
    return this.#inForce.fault;
  }

  problems(): readonly Problem[] {
    return this.#inForce.problems;
  }

  text(): DocumentText {
    const { text } = this.#inForce;
    return {
      text: text === '' ? '' : redactSecrets(text),
      version: 0,
      etag: this.etag(),
      source: 'file',
      path: this.#options.path,
    };
  }

  validate(text: string): Promise<Validation> {
    const { parsed, testFailures } = this.#inForce.draft(text);
    const ok = testFailures.length === 0 && parsed.problems.every((problem) => problem.severity === 'note');
    return Promise.resolve({ ok, problems: parsed.problems, testFailures });
  }

  save(): Promise<SaveResult> {
    const { path } = this.#options;
    return Promise.reject(
      new DocumentError(
        'config_is_file',
        `the document is the file ${path} (--config): change it there; it is read again by itself`,
      ),
    );
  }

  rollback(): Promise<SaveResult> {
    return this.save();
  }

  versions(): Promise<readonly VersionInfo[]> {
    return Promise.resolve([]);
  }

  versionText(): Promise<string | null> {
    return Promise.resolve(null);
  }

  diff(): Promise<string> {
    return Promise.reject(
      new DocumentError(
        'config_unknown_version',
        'a file keeps no versions; use the version control that it is in',
      ),
    );
  }

  /** Only the document grants use; who was made an admin by claim or flag administers all the same. */
  async reloadGrants(): Promise<void> {
    const grants = await this.#options.store.listGrants();
    const admins = grants
      .filter((grant) => grant.role === 'admin')
      .map((grant): StoredGrantView => ({ ...grant, models: [] }));
    this.#inForce.useGrants(admins);
  }

  /** One look after another; a look that finds nothing new does nothing. */
  reload(): Promise<void> {
    const next = this.#lastReload.then(() => this.#look());
    this.#lastReload = next.catch(() => undefined);
    return next;
  }

  onChange(listener: (policy: PolicySnapshot) => void): () => void {
    return this.#inForce.onChange(listener);
  }

  onFault(listener: (fault: DocumentFault) => void): () => void {
    return this.#inForce.onFault(listener);
  }

  close(): void {
    this.#closed = true;
    this.#stopWatch();
    if (this.#settling !== null) clearTimeout(this.#settling);
    if (this.#polling !== null) clearInterval(this.#polling);
  }

  #settle(): void {
    if (this.#closed || this.#settling !== null) return;
    this.#settling = setTimeout(() => {
      this.#settling = null;
      this.#reloadAside();
    }, SETTLE_MS);
    this.#settling.unref();
  }

  #reloadAside(): void {
    if (this.#closed) return;
    this.reload().catch((error: unknown) => {
      this.#options.logger.error('the gateway document could not be looked at', {
        error: describeError(error),
      });
    });
  }

  async #look(): Promise<void> {
    const { files, path } = this.#options;
    let text: string;
    try {
      text = await files.readText(path, DOCUMENT_MAX_BYTES);
    } catch (error) {
      // A file that is gone for a moment (a rename) is looked at again; what was in force stays.
      this.#fail(`${path} cannot be read: ${describeError(error)}`, []);
      this.#seen = null;
      return;
    }
    if (text === this.#seen) return;
    this.#seen = text;
    const draft = this.#inForce.draft(text);
    const errors = draft.parsed.problems.filter((problem) => problem.severity === 'error');
    if (errors.length > 0) this.#fail(`${path}: ${summarise(errors)}`, errors);
    else if (draft.testFailures.length > 0)
      this.#fail(`${path}: a test fails: ${summarise([], draft.testFailures)}`, []);
    else await this.#use(draft);
  }

  async #use(draft: Draft): Promise<void> {
    const missing = await this.#offerKeys(draft.parsed.document);
    this.#inForce.use(draft);
    this.#options.logger.info('the gateway document is in force', {
      path: this.#options.path,
      version: this.current().version,
    });
    for (const text of missing) this.#options.logger.warn(text);
  }

  #fail(message: string, problems: readonly Problem[]): void {
    if (this.#inForce.fault?.message === message) return;
    this.#inForce.fail(message, problems);
    this.#options.logger.error('the gateway document is not taken; the last good one stays in force', {
      error: message,
    });
  }

  /** Gives the vault the keys that the file holds or refers to; what could not be found comes back in words. */
  async #offerKeys(document: GatewayDocument): Promise<readonly string[]> {
    const missing: string[] = [];
    const named = new Set<string>();
    for (const { id, what, key, origin, header } of keysOf(document)) {
      const source = `document:${id}`;
      named.add(source);
      const found = await this.#resolveSecret(key);
      if (found.secret === null) {
        missing.push(`the key of ${what} is missing: ${found.why}`);
        continue;
      }
      try {
        this.#options.vault.addFound(id, {
          origin,
          header,
          secret: found.secret,
          source,
        });
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        missing.push(`the key of ${what} cannot be used: ${error.message}`);
      }
    }
    for (const source of this.#offered) if (!named.has(source)) this.#options.vault.forgetFound(source);
    this.#offered = named;
    return missing;
  }

  async #resolveSecret(
    source: Exclude<SecretSource, { kind: 'vault' }>,
  ): Promise<{ readonly secret: Secret | null; readonly why: string }> {
    if (source.kind === 'literal') return { secret: source.secret, why: '' };
    if (source.kind === 'env') {
      const value = this.#options.env[source.name]?.trim() ?? '';
      return {
        secret: value === '' ? null : new Secret(value),
        why: `the environment variable ${source.name} is not set`,
      };
    }
    try {
      const text = (await this.#options.files.readText(source.path, SECRET_MAX_BYTES)).trim();
      return { secret: text === '' ? null : new Secret(text), why: `${source.path} is empty` };
    } catch (error) {
      return { secret: null, why: `${source.path} cannot be read: ${describeError(error)}` };
    }
  }
}

/** A key that a document holds or refers to, under its name in the vault. */
interface DocumentKey {
  readonly id: string;
  readonly what: string;
  readonly key: Exclude<SecretSource, { kind: 'vault' }>;
  readonly origin: string;
  readonly header: ProviderEntry['authorization'];
}

/** Of providers, and of hooks: what they are presented with and what signs. */
function* keysOf(document: GatewayDocument): Generator<DocumentKey> {
  for (const { id, apiKey, baseUrl, authorization } of document.providers.values()) {
    if (apiKey === null || apiKey.kind === 'vault' || baseUrl === null) continue;
    yield { id, what: `provider ${id}`, key: apiKey, origin: baseUrl.origin, header: authorization };
  }
  for (const { id, apiKey, signWith, url, authorization } of document.hooks.values()) {
    const { origin } = new URL(url);
    if (apiKey !== null && apiKey.kind !== 'vault')
      yield { id: `hook:${id}`, what: `hook ${id}`, key: apiKey, origin, header: authorization };
    if (signWith !== 'derived' && signWith.kind !== 'vault')
      yield {
        id: `hook:${id}/signing`,
        what: `the signature of hook ${id}`,
        key: signWith,
        origin,
        header: authorization,
      };
  }
}
