/** Turns after a refused call: what is kept of the refusal, and how the next request is made to fit. */
export { createRefusalMemory, type RefusalMemory, type RefusalMemoryOptions } from './refusal-memory.ts';
export {
  REFUSED_CALLS_MAX,
  REFUSED_ITEM_MAX_BYTES,
  refusedTurn,
  type RefusalLedger,
  type RefusedAnswer,
  type RefusedItem,
  type RefusedTurn,
} from './refused-turn.ts';
export { repairHistory, type RepairedHistory } from './repair-history.ts';
