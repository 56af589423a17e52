import type { JsonPath } from '../wire/hujson.ts';

/**
 * `error` keeps the document from being used at all. A `warning` leaves the document usable, with the
 * element that it names switched off where that element could not be understood; saving and
 * validating refuse it. A `note` is information.
 */
export type Severity = 'error' | 'warning' | 'note';

/** The closed set of things that can be said about a document. */
export type ProblemCode =
  | 'bad_syntax'
  | 'bad_type'
  | 'bad_value'
  | 'bad_url'
  | 'bad_guardrail'
  | 'bad_header'
  | 'bad_pattern'
  | 'bad_quota'
  | 'bad_bucket'
  | 'bad_test'
  | 'bad_tool_rule'
  | 'deprecated_key'
  | 'document_empty'
  | 'duplicate_key'
  | 'everyone_is_admin'
  | 'grant_with_dst'
  | 'grants_missing'
  | 'missing_field'
  | 'never_matches'
  | 'nobody_is_admin'
  | 'not_built'
  | 'loopback_admin'
  | 'plain_http'
  | 'reserved_id'
  | 'secret_in_document'
  | 'secret_redacted'
  | 'secret_reference_refused'
  | 'stray_version'
  | 'unknown_approval'
  | 'unknown_guardrail'
  | 'unknown_hook'
  | 'unknown_key'
  | 'unknown_provider'
  | 'unknown_quota'
  | 'unknown_strategy'
  | 'unsubstituted_macro'
  | 'value_clamped';

/** Something to say about a document, and what would mend it. Never holds a secret. */
export interface Problem {
  readonly severity: Severity;
  /** `grants[2].app["postern.dev/cap/gateway"][0].models`; empty for the whole document. */
  readonly path: string;
  /** 1-based; 0 where the element has no place in a text. */
  readonly line: number;
  readonly column: number;
  readonly code: ProblemCode;
  readonly message: string;
  readonly fix: string;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A path as people write it: `providers.openai.models[0]`, `app["tailscale.com/cap/aperture"][0]`. */
export function formatPath(path: JsonPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (IDENTIFIER.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}
