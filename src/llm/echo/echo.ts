/**
 * `postern/echo`: the built-in test model. It answers in every generation format, streamed and
 * not, with usage counted by a stated rule, and says in every answer that it is a test model. It
 * asks nobody and keeps nothing.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { renderRefusal } from '../errors.ts';
import type { Dialect, Format } from '../surface.ts';
import { jsonAnswer, type EchoAnswer } from './answer.ts';
import { answerCountTokens, answerMessages } from './anthropic-messages.ts';
import { answerConverse, answerInvoke } from './bedrock.ts';
import { answerEmbeddings, answerGeminiEmbeddings } from './embeddings.ts';
import { answerGemini, answerGeminiCount, type GeminiFraming } from './gemini.ts';
import { answerChat, answerCompletion } from './openai-chat.ts';
import { answerInputTokens, answerResponses } from './openai-responses.ts';
import { ECHO_LABEL, readTurn, type EchoTurn } from './turn.ts';

export interface EchoRequest {
  readonly format: Format;
  readonly dialect: Dialect;
  /** As in `SurfaceMatch`. */
  readonly action: string;
  readonly streamed: boolean;
  /** Of Gemini's streams: `sse` if the query has `alt=sse`. */
  readonly geminiFraming: GeminiFraming;
  /** The name that answers carry. */
  readonly model: string;
  readonly body: Uint8Array;
  /** For refusals. */
  readonly requestId: string;
}

export interface Echo {
  /** Never throws; what the test model cannot do is refused in the caller's dialect. */
  answer(request: EchoRequest): EchoAnswer;
}

export function createEcho(dependencies: { readonly clock: Clock; readonly random: Random }): Echo {
  return {
    answer(request) {
      return answerTurn(request, readTurn(request.body, request.model, dependencies)) ?? refuse(request);
    },
  };
}

/** Null for what the test model does not do. */
function answerTurn(
  { format, action, streamed, geminiFraming }: EchoRequest,
  turn: EchoTurn,
): EchoAnswer | null {
  switch (format) {
    case 'openai_chat':
      return answerChat(turn, streamed);
    case 'openai_completions':
      return answerCompletion(turn, streamed);
    case 'openai_responses':
      if (action === 'input_tokens') return answerInputTokens(turn);
      return action === '' ? answerResponses(turn, streamed) : null;
    case 'openai_embeddings':
      return answerEmbeddings(turn);
    case 'openai_moderations':
      return jsonAnswer({ id: turn.id('modr'), model: turn.model, results: [MODERATION] });
    case 'anthropic_messages':
      return answerMessages(turn, streamed);
    case 'google_raw_predict':
      return action === 'countTokens' ? answerCountTokens(turn) : answerMessages(turn, streamed);
    case 'anthropic_count_tokens':
      return answerCountTokens(turn);
    case 'gemini_generate_content':
    case 'google_generate_content':
      return answerGemini(turn, streamed, geminiFraming);
    case 'gemini_count_tokens':
      return answerGeminiCount(turn);
    case 'gemini_embed_content':
      return jsonAnswer(answerGeminiEmbeddings(turn, action));
    case 'bedrock_converse':
      return answerConverse(turn, streamed);
    case 'bedrock_model_invoke':
      return answerInvoke(turn, streamed);
    case 'openai_images':
    case 'openai_audio_speech':
    case 'openai_audio_transcription':
    case 'openai_files':
    case 'openai_batches':
    case 'openai_objects':
    case 'gemini_caches':
    case 'anthropic_batches':
    case 'anthropic_files':
    case 'models':
      return null;
    default:
      return format satisfies never;
  }
}

/** Nothing is judged; the name of the one category says so. */
const MODERATION = { flagged: false, categories: { test_model: false }, category_scores: { test_model: 0 } };

function refuse({ dialect, requestId }: EchoRequest): EchoAnswer {
  const { contentType, body } = renderRefusal(dialect, {
    status: 400,
    code: 'echo_unsupported',
    message: `${ECHO_LABEL} this route or input is not one that the test model answers`,
    requestId,
    help: 'Use a model of a real provider',
  });
  return { status: 400, contentType, chunks: [body] };
}
