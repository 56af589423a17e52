/**
 * What goes in and comes out of hooks. Names on the wire are Aperture's (`metadata`, `request_body`,
 * `tool_calls` …) and stand in `payload.ts`; here they are in our own spelling.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { HookEntry, HookUse } from '../../policy/document.ts';
import type { JsonValue } from '../../wire/hujson.ts';
import type { HookFault } from './errors.ts';

export type HookEvent = 'pre_request' | 'entire_request' | 'tool_call_entire_request' | 'tool_call';

/** A hook, and what one caller's grants make of it. */
export interface BoundHook {
  readonly entry: HookEntry;
  readonly use: HookUse;
}

/** Always sent. Empty strings where something does not apply. */
export interface HookMetadata {
  readonly loginName: string;
  readonly userAgent: string;
  readonly url: string;
  readonly model: string;
  readonly provider: string;
  readonly tailnetName: string;
  readonly stableNodeId: string;
  readonly requestId: string;
  readonly sessionId: string;
}

/** One bucket as `quotas` sends it; nano-dollars, or counts of the bucket's unit. */
export interface HookQuotaState {
  readonly current: number;
  readonly capacity: number;
  /** As the document writes it, `$5.00/day`; '' where nothing refills. */
  readonly rate: string;
}

/** Only what is above zero is sent. Tokens, and searches. */
export interface HookUsage {
  readonly input?: number;
  readonly output?: number;
  readonly cached?: number;
  readonly cacheCreation?: number;
  readonly cacheCreation5m?: number;
  readonly cacheCreation1h?: number;
  readonly reasoning?: number;
  readonly imageInput?: number;
  readonly imageOutput?: number;
  readonly webSearches?: number;
}

export interface HookCost {
  readonly dollars: number;
  /** `anthropic/claude-sonnet-4-6`. */
  readonly costBasis: string;
  readonly usage: HookUsage;
}

/** What every event knows. The functions are asked only by hooks whose `send` names the field. */
export interface HookFacts {
  readonly metadata: HookMetadata;
  /** Whose memory of delivered turns this is, and whose failures these are. */
  readonly principal: string;
  /** Values of the caller's other capabilities by name. */
  readonly grants: () => Readonly<Record<string, readonly JsonValue[]>>;
  readonly quotas: () => Readonly<Record<string, HookQuotaState>>;
  /** Ends waiting; the caller left. */
  readonly signal?: AbortSignal;
}

export interface HookRequest extends HookFacts {
  /** As it would go to the provider. Never altered. */
  readonly body: Buffer;
  /** False for forms: `request_body` cannot be sent then. */
  readonly isJson: boolean;
  /** Text of the last user message of a body (a hook may have changed it); null if there is none. */
  readonly userMessage: (body: Buffer) => string | null;
}

/** A call that a model asked for. */
export interface HookToolCall {
  /** The provider's id; null where the format has none. */
  readonly id: string | null;
  readonly name: string;
  /** Undefined where the text is no JSON. */
  readonly params: JsonValue | undefined;
  /** As the model wrote them. */
  readonly argumentsText: string;
}

/** The events of a stream. */
export interface HookEvents {
  /** JSON text of each; empty if unknown. */
  readonly events: readonly Buffer[];
  /** There were more than are given. */
  readonly isTruncated: boolean;
}

export interface HookCompletion extends HookRequest {
  /** The whole answer as JSON (of a stream: put together); null if it is no JSON, or cannot be read. */
  readonly responseBody: () => Buffer | 'too_large' | null;
  readonly rawResponses: () => HookEvents;
  /** `params` are undefined where the answer is too large to be looked through. */
  readonly toolCalls: readonly Omit<HookToolCall, 'argumentsText'>[];
  readonly cost: HookCost | null;
  /** The caller's prompts may be kept: then so may what is given up. */
  readonly isKept: boolean;
}

export interface HookToolRequest extends HookFacts {
  /** The request that the answer belongs to; null if it is not at hand. */
  readonly request: Pick<HookRequest, 'body' | 'isJson' | 'userMessage'> | null;
  /** Where values of this caller are redacted: for hooks that may not have them. Null or absent where none are. */
  readonly redaction?: HookRedaction | null;
}

/** A text with placeholders for its values, and with its values for placeholders. Total. */
export interface HookRedaction {
  readonly conceal: (text: string) => string;
  /** Null where a guardrail does not let the text pass. */
  readonly restore: (text: string) => string | null;
}

/** One call as the record keeps it. No text of a request, of an answer or of the hook. */
export interface HookCall {
  readonly hook: string;
  readonly event: HookEvent;
  /** What it said, or `failed`. */
  readonly outcome: HookOutcome;
  readonly fault: HookFault | null;
  /** In `monitor` mode nothing followed from it. */
  readonly monitor: boolean;
  readonly at: UnixMs;
  readonly requestId: string;
  readonly durationMs: number;
}

export type HookOutcome =
  | 'allow'
  | 'block'
  | 'modify'
  | 'deny'
  | 'rewrite'
  | 'ask'
  | 'delivered'
  /** It had lost what it had seen, and was sent everything. */
  | 'resend'
  | 'failed'
  /** Monitored in the background; its outcome stands in `stats()`. */
  | 'started';

export type RequestVerdict =
  | {
      readonly action: 'allow';
      /** The same buffer if no hook changed it; else JSON whose meaning the caller must read again. */
      readonly body: Buffer;
      /** Hooks that changed it, in their order. */
      readonly modifiedBy: readonly string[];
      readonly calls: readonly HookCall[];
    }
  | {
      readonly action: 'block';
      readonly hook: string;
      /** 400 to 599. */
      readonly status: number;
      /** The hook's words, at most 1,000 characters on one line, or standard ones. */
      readonly message: string;
      readonly calls: readonly HookCall[];
    }
  | {
      /** A hook with `fail_closed` failed: 503. */
      readonly action: 'unavailable';
      readonly hook: string;
      readonly status: 503;
      readonly message: string;
      readonly fault: HookFault;
      readonly calls: readonly HookCall[];
    };

export interface ToolCallVerdict {
  readonly action: 'allow' | 'deny' | 'rewrite' | 'ask';
  /** Which hook decided; null where none had anything to say. */
  readonly hook: string | null;
  /** For the model (deny) or the approver (ask); null for standard words. */
  readonly message: string | null;
  /** With `rewrite`, and with `ask` where a hook rewrote before: the arguments as they should be. */
  readonly argumentsText: string | null;
  /** Where `deny` comes from a failure and `fail_closed`. */
  readonly fault: HookFault | null;
  readonly calls: readonly HookCall[];
}

/** A delivery that was given up, as it is listed: without what it held. */
export interface DeadLetter {
  /** For `Hooks.retry`. */
  readonly id: string;
  /** What it held is kept, so that it can be tried again. */
  readonly canRetry: boolean;
  readonly hook: string;
  readonly event: HookEvent;
  readonly requestId: string;
  readonly loginName: string;
  /** When it was handed over, and when it was given up. */
  readonly queuedAt: UnixMs;
  readonly at: UnixMs;
  readonly attempts: number;
  readonly fault: HookFault;
  readonly message: string;
}

export type CircuitState = 'closed' | 'open' | 'half_open';

/** Milliseconds over the last calls; null where there was none. */
export interface HookLatency {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  /** Since the start: calls that took at most so many milliseconds, cumulative; the last is `Infinity`. */
  readonly buckets: readonly { readonly atMostMs: number; readonly count: number }[];
  readonly sumMs: number;
}

export interface HookView {
  readonly hook: string;
  /** Calls since the start, by outcome. */
  readonly outcomes: Readonly<Partial<Record<HookOutcome, number>>>;
  readonly faults: Readonly<Partial<Record<HookFault, number>>>;
  readonly latency: HookLatency;
  readonly circuit: CircuitState;
  /** When an open circuit lets a call through again; null while closed. */
  readonly retryAt: UnixMs | null;
  readonly running: number;
  readonly waiting: number;
  /** The last calls, newest first. */
  readonly recent: readonly HookCall[];
}

export interface HookStats {
  readonly hooks: readonly HookView[];
  /** Newest first. */
  readonly deadLetters: readonly DeadLetter[];
  /** Dead letters since the start, those no longer listed included. */
  readonly deadLetterCount: number;
  readonly queued: number;
  readonly queuedBytes: number;
}
