import { AppError } from '../../base/errors.ts';
import type { Problem, TestFailure } from '../../policy/index.ts';

export type DocumentErrorCode =
  | 'config_is_file'
  | 'config_conflict'
  | 'config_invalid'
  | 'config_tests_failed'
  | 'config_locks_out'
  | 'config_unknown_version';

/** A change to the document that was refused; the one in force is as before. */
export class DocumentError extends AppError<DocumentErrorCode> {
  /** For `config_invalid`. */
  readonly problems: readonly Problem[];
  /** For `config_tests_failed`. */
  readonly testFailures: readonly TestFailure[];

  constructor(
    code: DocumentErrorCode,
    message: string,
    found: { readonly problems?: readonly Problem[]; readonly testFailures?: readonly TestFailure[] } = {},
  ) {
    super(code, message);
    this.problems = found.problems ?? [];
    this.testFailures = found.testFailures ?? [];
  }
}
