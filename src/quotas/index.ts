/** Budgets and limits: reserved before a request, corrected after it, never above capacity (DESIGN section 7). */
export { createQuotas, type Quotas, type QuotasOptions, type BudgetView, type Remaining } from './quotas.ts';
export type { BucketUse, BucketValues } from './bucket-use.ts';
export { type HolderValues, templateNamesOf } from './held-by.ts';
export { expandBucket } from './bucket-template.ts';
export { checkQuotas, type QuotaFault, usedQuotas } from './check-quotas.ts';
export type { Estimate, TokenPrice, UnknownInput } from './estimate.ts';
export { createPriceCeiling, type PriceCeiling, type PriceCeilingQuestion } from './price-ceiling.ts';
export { inputTokensCeiling, type InputFacts } from './input-ceiling.ts';
export type { Actual, Reservation } from './reservation.ts';
export type { Refusal, RefusalCode } from './refusal.ts';
export type { BudgetCrossing, BudgetEvents } from './events.ts';
export type { Timers } from './ports.ts';
export { remainingHeader } from './remaining-header.ts';
