/**
 * The vocabulary of the LLM side: which wire format a route speaks and in whose dialect its errors
 * are written.
 */

/** Whose error envelope and streaming conventions a caller understands. */
export type Dialect = 'openai' | 'anthropic' | 'google' | 'bedrock';

/** Wire formats. Names of generation formats are those of a provider's `compatibility` flags. */
export type Format =
  | 'openai_chat'
  | 'openai_completions'
  | 'openai_responses'
  | 'openai_embeddings'
  | 'openai_images'
  | 'openai_audio_speech'
  | 'openai_audio_transcription'
  | 'openai_moderations'
  | 'openai_files'
  | 'openai_batches'
  | 'openai_objects'
  | 'anthropic_messages'
  | 'anthropic_count_tokens'
  | 'anthropic_batches'
  | 'anthropic_files'
  | 'gemini_generate_content'
  | 'gemini_count_tokens'
  | 'gemini_embed_content'
  | 'gemini_caches'
  | 'google_generate_content'
  | 'google_raw_predict'
  | 'bedrock_model_invoke'
  | 'bedrock_converse'
  | 'models';

/** Kinds of objects that providers keep beyond a request. `item` is one of a stored response or conversation. */
export type ObjectKind =
  | 'response'
  | 'conversation'
  | 'item'
  | 'file'
  | 'batch'
  | 'container'
  | 'vector_store'
  | 'cache'
  | 'message_batch'
  | 'upload'
  | 'skill'
  | 'audio'
  | 'prompt'
  | 'assistant';

/** A route of the LLM surface, matched. */
export interface SurfaceMatch {
  readonly format: Format;
  readonly dialect: Dialect;
  /** From the path; null where the body names the model, or where no model is named. */
  readonly model: string | null;
  /** Whether the model is in the body's top-level `model`. */
  readonly modelInBody: boolean;
  /** Decided by the path; null where the body's `stream` decides. */
  readonly stream: boolean | null;
  /** The action behind a colon (`generateContent`) or the last segments (`converse-stream`); else ''. */
  readonly action: string;
  /** Id of a provider object in the path (response, file, batch); else null. */
  readonly objectId: string | null;
  /**
   * What the path is about, on routes of provider objects: the kind of `objectId`, or of what a
   * collection makes and lists. Absent elsewhere.
   */
  readonly objectKind?: ObjectKind;
}
