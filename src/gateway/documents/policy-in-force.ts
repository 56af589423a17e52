/** The policy that is in force, and what it is compiled from; shared by both sources of documents. */
import type { Clock } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { sha256Hex } from '../../crypto/index.ts';
import {
  compilePolicy,
  emptyDocument,
  type Feature,
  type FoundProviderView,
  type GatewayDocument,
  parseGatewayDocument,
  type ParsedDocument,
  type PolicySnapshot,
  type Problem,
  type Provider,
  runPolicyTests,
  type StoredGrantView,
  type TestFailure,
} from '../../policy/index.ts';
import { translatedFormatOf } from '../routing/translation-format.ts';
import type { DocumentFault } from './documents.ts';

export interface InForceOptions {
  readonly tailnet: string;
  readonly found: readonly FoundProviderView[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly knownModels?: (provider: Provider) => readonly string[];
  readonly built?: ReadonlySet<Feature>;
}

/** A text that was read, compiled and tested, not yet in force. */
export interface Draft {
  readonly text: string;
  readonly parsed: ParsedDocument;
  readonly snapshot: PolicySnapshot;
  readonly testFailures: readonly TestFailure[];
}

export class PolicyInForce {
  readonly #options: InForceOptions;
  readonly #source: 'file' | 'api';
  readonly #listeners = new Set<(policy: PolicySnapshot) => void>();
  readonly #faultListeners = new Set<(fault: DocumentFault) => void>();
  #document: GatewayDocument = emptyDocument();
  #text = '';
  #problems: readonly Problem[] = [];
  #grants: readonly StoredGrantView[] = [];
  #fault: DocumentFault | null = null;
  #snapshot: PolicySnapshot;

  constructor(options: InForceOptions, source: 'file' | 'api') {
    this.#options = options;
    this.#source = source;
    this.#snapshot = this.#compile(this.#document, '');
  }

  get snapshot(): PolicySnapshot {
    return this.#snapshot;
  }

  get text(): string {
    return this.#text;
  }

  get problems(): readonly Problem[] {
    return this.#problems;
  }

  get fault(): DocumentFault | null {
    return this.#fault;
  }

  /** Reads, compiles and tests a text, without using it. */
  draft(text: string): Draft {
    const parsed = parseGatewayDocument(text, {
      source: this.#source,
      found: this.#options.found,
      adminsElsewhere: this.#grants.some((grant) => grant.role === 'admin'),
      ...(this.#options.built === undefined ? {} : { built: this.#options.built }),
    });
    const snapshot = this.#compile(parsed.document, text);
    return { text, parsed, snapshot, testFailures: runPolicyTests(snapshot, parsed.document.tests) };
  }

  /** Brings a draft into force. */
  use(draft: Draft): void {
    this.#document = draft.parsed.document;
    this.#text = draft.text;
    this.#problems = draft.parsed.problems;
    this.#fault = null;
    this.#replace(draft.snapshot);
  }

  /** Brings other stored grants into force. */
  useGrants(grants: readonly StoredGrantView[]): void {
    this.#grants = grants;
    this.#replace(this.#compile(this.#document, this.#text));
  }

  /** Notes that the newest text is not in force. */
  fail(message: string, problems: readonly Problem[]): void {
    this.#fault = { at: this.#options.clock.now(), message, problems };
    this.#tell(this.#faultListeners, this.#fault);
  }

  onChange(listener: (policy: PolicySnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onFault(listener: (fault: DocumentFault) => void): () => void {
    this.#faultListeners.add(listener);
    return () => this.#faultListeners.delete(listener);
  }

  #replace(snapshot: PolicySnapshot): void {
    if (snapshot.version === this.#snapshot.version) return;
    this.#snapshot = snapshot;
    this.#tell(this.#listeners, snapshot);
  }

  #tell<News>(listeners: ReadonlySet<(news: News) => void>, news: News): void {
    for (const listener of listeners) {
      try {
        listener(news);
      } catch (error) {
        this.#options.logger.error('a listener of policy changes failed', { error: describeError(error) });
      }
    }
  }

  #compile(document: GatewayDocument, text: string): PolicySnapshot {
    const { found, tailnet, knownModels, built } = this.#options;
    const storedGrants = this.#grants;
    return compilePolicy({
      document,
      found,
      storedGrants,
      tailnet,
      version: sha256Hex(JSON.stringify([text, found, storedGrants])).slice(0, 16),
      translateTo: translatedFormatOf,
      ...(knownModels === undefined ? {} : { knownModels }),
      ...(built === undefined ? {} : { built }),
    });
  }
}

/** `"…"` over the text, so that equal texts have equal tags; for `ETag`. */
export function etagOf(text: string): string {
  return `"${sha256Hex(text).slice(0, 32)}"`;
}

/** One line about the worst of some problems. */
export function summarise(problems: readonly Problem[], testFailures: readonly TestFailure[] = []): string {
  const first = problems[0];
  const failure = testFailures[0];
  if (first !== undefined) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    return `line ${first.line}, column ${first.column}: ${first.message}; ${first.fix}${more}`;
  }
  return failure === undefined
    ? 'nothing is wrong'
    : `${failure.path}: ${failure.model ?? 'role'} expected ${failure.expected}, got ${failure.got}`;
}
