/** What deciding before it happens needs besides the rest of the gateway. */
import type { RefusalMemory } from '../../llm/answer/index.ts';
import type { Approvals } from '../../approvals/index.ts';
import type { Hooks } from '../../guardrails/hooks/index.ts';
import type { Guardrails } from '../../guardrails/index.ts';
import type { PriceCeiling, Quotas } from '../../quotas/index.ts';
import type { CallVerdicts } from './refused-calls.ts';

export interface GoverningParts {
  readonly quotas: Pick<Quotas, 'usesOf' | 'reserve' | 'remaining'>;
  readonly priceCeiling: PriceCeiling;
  readonly approvals: Pick<Approvals, 'ask'>;
  readonly guardrails: Guardrails;
  readonly hooks: Pick<Hooks, 'preRequest' | 'toolCall' | 'completed'>;
  /** Where a person looks at an approval. */
  readonly approvalLink: (id: string) => string;
  /** Refused calls that later turns must know of. */
  readonly refusals: RefusalMemory;
  readonly verdicts: CallVerdicts;
}
