/** Simulations: recorded metadata against a draft policy. Nothing here is on the way of a request. */
export { compileDraft, type CompiledDraft, type DraftContext } from './draft.ts';
export type { FormatAbilities, RecordedRows, ReplayPrices, TokenLookup } from './ports.ts';
export type {
  Change,
  ChangedRequest,
  CostLine,
  SideTotals,
  SimulatedOutcome,
  SimulatedRequest,
  SimulationReport,
  ToolCounts,
  ToolRange,
} from './report.ts';
export { simulate, type SimulationInput, type SimulationProgress } from './simulate.ts';
export {
  createSimulations,
  REQUESTS_TOLD_MAX,
  SimulationError,
  type SimulationErrorCode,
  type SimulationRequest,
  type Simulations,
  type SimulationsOptions,
  type SimulationView,
} from './simulations.ts';
