/** Policy: read a gateway document, check it, compile it, ask it, explain it. Pure: no files, no network, no clock. */
export type { FoundProviderView, StoredGrantView } from './ports.ts';
export type { Problem, ProblemCode, Severity } from './problem.ts';
export { formatPath } from './problem.ts';
export * from './document.ts';
export type * from './snapshot.ts';
export type * from './explanation.ts';
export { compileGlob, patternFault, type Glob } from './glob.ts';
export { parseGatewayDocument, emptyDocument, type Feature, type ParseOptions } from './parse-document.ts';
export { liftSecrets, redactSecrets, type LiftedSecret, type LiftResult } from './lift-secrets.ts';
export { compilePolicy, ECHO_MODEL, ECHO_PROVIDER_ID, type CompileInput } from './compile-policy.ts';
export { runPolicyTests, type TestFailure } from './policy-tests.ts';
export { diffDocuments } from './diff-documents.ts';
