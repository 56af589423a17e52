/** A draft document, compiled as the one in force is. */
import { sha256Hex } from '../../crypto/index.ts';
import {
  compilePolicy,
  type Feature,
  type FoundProviderView,
  parseGatewayDocument,
  type PolicySnapshot,
  type Problem,
  type Provider,
  runPolicyTests,
  type StoredGrantView,
  type TestFailure,
} from '../../policy/index.ts';
import { translatedFormatOf } from '../routing/translation-format.ts';

/** What the document in force is compiled from, besides its text. */
export interface DraftContext {
  readonly tailnet: string;
  /** `file` where the operator's file owns the document. */
  readonly source: 'file' | 'api';
  readonly found: readonly FoundProviderView[];
  readonly storedGrants: readonly StoredGrantView[];
  /** Somebody administers whom neither the document nor `storedGrants` names. Default: as `storedGrants` say. */
  readonly adminsElsewhere?: boolean;
  readonly built?: ReadonlySet<Feature>;
  readonly knownModels?: (provider: Provider) => readonly string[];
}

export interface CompiledDraft {
  readonly snapshot: PolicySnapshot;
  readonly problems: readonly Problem[];
  readonly testFailures: readonly TestFailure[];
  /** Number of `tests` of the document. */
  readonly tests: number;
}

/** Pure. A text with an error has a snapshot too, of what could be read: look at `problems` first. */
export function compileDraft(text: string, context: DraftContext): CompiledDraft {
  const { tailnet, source, found, storedGrants, built, knownModels } = context;
  const features = built === undefined ? {} : { built };
  const { document, problems } = parseGatewayDocument(text, {
    source,
    found,
    adminsElsewhere: context.adminsElsewhere ?? storedGrants.some(({ role }) => role === 'admin'),
    ...features,
  });
  const snapshot = compilePolicy({
    document,
    found,
    storedGrants,
    tailnet,
    version: sha256Hex(JSON.stringify([text, found, storedGrants])).slice(0, 16),
    ...features,
    translateTo: translatedFormatOf,
    ...(knownModels === undefined ? {} : { knownModels }),
  });
  return {
    snapshot,
    problems,
    testFailures: runPolicyTests(snapshot, document.tests),
    tests: document.tests.length,
  };
}
