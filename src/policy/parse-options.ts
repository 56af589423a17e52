import type { FoundProviderView } from './ports.ts';

/**
 * Parts of a document that a version of Postern may or may not act on. Rules that would restrict
 * and cannot be enforced close what they guard; the rest is kept and reported.
 */
export type Feature = 'quotas' | 'hooks' | 'guardrails' | 'tools' | 'approvals' | 'connectors' | 'exporters';

/** What this version enforces. */
export const BUILT_FEATURES: ReadonlySet<Feature> = new Set([
  'quotas',
  'tools',
  'approvals',
  'guardrails',
  'hooks',
]);

export interface ParseOptions {
  /**
   * `file`: the operator's own file, which may refer to his environment and files for secrets.
   * `api`: a text that an admin edits, which may not.
   */
  readonly source: 'file' | 'api';
  /** Providers that exist besides the document's. */
  readonly found?: readonly FoundProviderView[];
  /** Somebody is an admin outside of the document, so that none in it is no mistake. */
  readonly adminsElsewhere?: boolean;
  /** What this Postern enforces. Default: `BUILT_FEATURES`. */
  readonly built?: ReadonlySet<Feature>;
}
