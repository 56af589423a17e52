/** What a translation takes and gives (issue "Routing"): the caller's request in another provider's format, and its answer back. */
import type { BodyFacts } from '../request-body.ts';
import type { SurfaceMatch } from '../surface.ts';

/** Formats of callers whose requests are translated. Vertex's Gemini bodies count as the maker's own. */
export type TranslatedFormat =
  | 'anthropic_messages'
  | 'openai_chat'
  | 'openai_responses'
  | 'gemini_generate_content';

/** Formats that a request is translated to: callers' own, and those in which clouds serve others' models. */
export type TargetFormat =
  | TranslatedFormat
  | 'google_raw_predict'
  | 'bedrock_model_invoke'
  | 'bedrock_converse';

/** Where a translated request goes, and what is needed to write it. */
export interface TranslationTarget {
  /** The name that the provider knows. */
  readonly model: string;
  /** The name that the caller used; answers carry it. */
  readonly callerModel: string;
  /** Our id of the provider: its opaque reasoning is sealed under this name and goes back to no other. */
  readonly provider: string;
  /** Most tokens of one answer, where known: some formats demand a limit that others leave out. */
  readonly outputMaxTokens: number | null;
  /** What the provider calls the limit in Chat Completions; older servers know `max_tokens` only. */
  readonly chatLimitKey: 'max_completion_tokens' | 'max_tokens';
  /** Framing of a streamed answer to a Gemini caller: `sse` if the query has `alt=sse`. Others ignore it. */
  readonly geminiFraming: 'sse' | 'array';
  /** What the caller's `anthropic-beta` names, as it wrote it; empty for none. At most 64. */
  readonly betas: readonly string[];
  /** A fresh id with this prefix, for formats that demand one where the provider gave none. */
  readonly newId: (prefix: string) => string;
  /** Whole seconds since 1970. */
  readonly createdSec: number;
}

/** Why a request cannot be translated; to be answered with 400. The message is safe to show. */
export interface TranslationProblem {
  readonly problem: 'translation_unsupported' | 'translation_malformed';
  readonly message: string;
}

/** Tells a problem from a result. */
export function isTranslationProblem(found: object): found is TranslationProblem {
  return 'problem' in found;
}

/** A request in the target's format. The method is always POST, the content type JSON. */
export interface TranslatedRequest {
  /** As a caller of the target's format would send it: `/v1/messages`. */
  readonly path: string;
  /** Without the question mark; may be empty. */
  readonly query: string;
  /** What `matchSurface` finds for the path. */
  readonly match: SurfaceMatch;
  /** Sent beside the caller's, which lose those of its SDK: a flat list of names and values. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** Names of the fields that the target's format cannot say: for `x-postern-translation-loss`. At most 64. */
  readonly losses: readonly string[];
  readonly stream: boolean;
  /** A guess: text at four bytes a token, media at what they usually cost. */
  readonly estimatedInputTokens: number;
  /** Turns the provider's answers to this request into the caller's format. */
  readonly answers: AnswerTranslation;
}

/** An answer in the caller's format. */
export interface TranslatedAnswer {
  /** The provider's status, or 502 for an answer that cannot be read. */
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

export interface AnswerTranslation {
  /** Of a streamed answer with status 2xx. */
  readonly streamContentType: string;
  /** A whole answer or an error of any status. Total: what cannot be read becomes an error of the caller's format. */
  whole(status: number, body: Uint8Array): TranslatedAnswer;
  /** For one stream with status 2xx. */
  createTranscoder(): AnswerTranscoder;
}

/** Translates one stream. Never throws. */
export interface AnswerTranscoder {
  /** The bytes that may go on now; empty after the end. */
  push(chunk: Uint8Array): Buffer;
  /** The provider's stream has ended: what is left. A stream cut short ends with an error of the caller's format. */
  finish(): Buffer;
  /** Why the stream was ended with an error of ours; null while all is well. */
  readonly fault: string | null;
}

/** Translates requests of one format into another and the answers back. */
export interface Translator {
  readonly from: TranslatedFormat;
  readonly to: TargetFormat;
  /** Total; `facts` are of a JSON body that was read without a problem. */
  request(facts: BodyFacts, target: TranslationTarget): TranslatedRequest | TranslationProblem;
}

/** How tokens of a request are counted for a caller whose target has another format. */
export type CountTranslation =
  | { readonly kind: 'request'; readonly request: TranslatedCount }
  /** The target has no counter: an estimate, to be labelled with `x-postern-warning: token_count_estimated`. */
  | { readonly kind: 'estimate'; readonly answer: TranslatedAnswer };

/** A request to the target's own counter. */
export interface TranslatedCount {
  readonly path: string;
  readonly match: SurfaceMatch;
  /** As of a translated request. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly losses: readonly string[];
  /** The counter's answer, of any status, in the caller's format. */
  readonly answer: (status: number, body: Uint8Array) => TranslatedAnswer;
}
