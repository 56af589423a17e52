/** Hooks: outside programs that are asked before a request, before a tool call, and told afterwards (docs/hooks.md). */
export type { HookFault } from './errors.ts';
export { createHooks, type Hooks, type HooksLimits, type HooksOptions } from './hooks.ts';
export type { RetryRefusal } from './deliveries.ts';
export { bindHooks } from './order.ts';
export type { HookHttp, HookSecrets, Timers } from './ports.ts';
export type {
  BoundHook,
  CircuitState,
  DeadLetter,
  HookCall,
  HookCompletion,
  HookCost,
  HookEvent,
  HookFacts,
  HookLatency,
  HookMetadata,
  HookOutcome,
  HookQuotaState,
  HookRedaction,
  HookRequest,
  HookStats,
  HookToolCall,
  HookToolRequest,
  HookUsage,
  HookView,
  RequestVerdict,
  ToolCallVerdict,
} from './shapes.ts';
