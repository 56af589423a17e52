/** Guardrails: detectors, limits and reversible redaction over requests and answers (DESIGN section 3, steps 5 and 7). */
export type { AnswerGuard, AnswerGuardQuestion } from './answer-guard.ts';
export type { CheckedRequest, RequestQuestion } from './check-request.ts';
export type { Confidence, Detection } from './detection.ts';
export { detectors, type DetectorName } from './detectors/index.ts';
export {
  createGuardrails,
  LARGE_FROM_BYTES,
  type Guardrails,
  type GuardrailsOptions,
  type KeptValue,
} from './guardrails.ts';
export type { Blocked, Finding, FindingPlace } from './finding.ts';
