/** Joins readers and writers of requests and answers to translators, one for each ordered pair of formats. */
import type { BodyFacts } from '../request-body.ts';
import type { Format, SurfaceMatch } from '../surface.ts';
import { createAnswers } from './answers/translation.ts';
import type {
  TranslatedFormat,
  TranslatedRequest,
  TranslationProblem,
  TranslationTarget,
  Translator,
} from './contract.ts';
import { estimateInput } from './estimate.ts';
import { Losses } from './losses.ts';
import { originOf } from './opaque.ts';
import { readAnthropicRequest } from './requests/anthropic-read.ts';
import { writeAnthropicRequest } from './requests/anthropic-write.ts';
import { malformed, type RequestReader, type RequestWriter } from './requests/context.ts';
import { readGeminiRequest } from './requests/gemini-read.ts';
import { writeGeminiRequest } from './requests/gemini-write.ts';
import { readChatRequest } from './requests/openai-chat-read.ts';
import { writeChatRequest } from './requests/openai-chat-write.ts';
import { readResponsesRequest } from './requests/openai-responses-read.ts';
import { writeResponsesRequest } from './requests/openai-responses-write.ts';
import { ANTHROPIC_NAMES, SHORT_NAMES, ToolNames, type NameRule } from './tool-names.ts';

interface RequestFormat {
  readonly read: RequestReader;
  readonly write: RequestWriter;
  readonly names: NameRule;
  readonly surface: (model: string, stream: boolean) => Surface;
}

interface Surface {
  readonly path: string;
  readonly query: string;
  readonly match: SurfaceMatch;
}

const FORMATS: Readonly<Record<TranslatedFormat, RequestFormat>> = {
  anthropic_messages: {
    read: readAnthropicRequest,
    write: writeAnthropicRequest,
    names: ANTHROPIC_NAMES,
    surface: () => bodySurface('/v1/messages', 'anthropic_messages', 'anthropic'),
  },
  openai_chat: {
    read: readChatRequest,
    write: writeChatRequest,
    names: SHORT_NAMES,
    surface: () => bodySurface('/v1/chat/completions', 'openai_chat', 'openai'),
  },
  openai_responses: {
    read: readResponsesRequest,
    write: writeResponsesRequest,
    names: SHORT_NAMES,
    surface: () => bodySurface('/v1/responses', 'openai_responses', 'openai'),
  },
  gemini_generate_content: {
    read: readGeminiRequest,
    write: writeGeminiRequest,
    names: SHORT_NAMES,
    surface: geminiSurface,
  },
};

function bodySurface(path: string, format: Format, dialect: SurfaceMatch['dialect']): Surface {
  return {
    path,
    query: '',
    match: { format, dialect, model: null, modelInBody: true, stream: null, action: '', objectId: null },
  };
}

function geminiSurface(model: string, stream: boolean): Surface {
  const action = stream ? 'streamGenerateContent' : 'generateContent';
  return {
    path: `/v1beta/models/${encodeURIComponent(model)}:${action}`,
    query: stream ? 'alt=sse' : '',
    match: {
      format: 'gemini_generate_content',
      dialect: 'google',
      model,
      modelInBody: false,
      stream,
      action,
      objectId: null,
    },
  };
}

const SOURCES: Readonly<Partial<Record<Format, TranslatedFormat>>> = {
  anthropic_messages: 'anthropic_messages',
  openai_chat: 'openai_chat',
  openai_responses: 'openai_responses',
  gemini_generate_content: 'gemini_generate_content',
  google_generate_content: 'gemini_generate_content',
};

/**
 * The format from which a caller's request on this route can be translated; null where it cannot
 * (stored objects, media, batches, Bedrock's formats).
 */
export function sourceFormat({ format, action, objectId }: SurfaceMatch): TranslatedFormat | null {
  if (format === 'openai_responses' && (action !== '' || objectId !== null)) return null;
  return SOURCES[format] ?? null;
}

/** Null where there is nothing to translate: both formats are one. */
export function translator(from: TranslatedFormat, to: TranslatedFormat): Translator | null {
  if (from === to) return null;
  return { from, to, request: (facts, target) => translate(from, to, facts, target) };
}

function translate(
  from: TranslatedFormat,
  to: TranslatedFormat,
  facts: BodyFacts,
  target: TranslationTarget,
): TranslatedRequest | TranslationProblem {
  if (facts.kind !== 'json') return malformed('a form cannot be translated');
  const losses = new Losses();
  const request = facts.value();
  const conversation = FORMATS[from].read(request, { losses, stream: facts.stream });
  if ('problem' in conversation) return conversation;
  const { write, names: rule, surface } = FORMATS[to];
  const names = new ToolNames(rule);
  for (const { name } of conversation.tools) names.wire(name);
  const origin = originOf(to, target.provider);
  const body = Buffer.from(JSON.stringify(write(conversation, { losses, target, names, origin })), 'utf8');
  const { stream, includeUsage } = conversation;
  const estimatedInputTokens = estimateInput(conversation);
  return {
    ...surface(target.model, stream),
    body,
    losses: losses.list(),
    stream,
    estimatedInputTokens,
    answers: createAnswers({
      from,
      to,
      names,
      origin,
      context: {
        model: target.callerModel,
        createdSec: target.createdSec,
        newId: target.newId,
        estimatedInputTokens,
        includeUsage,
        geminiFraming: target.geminiFraming,
        request: from === 'openai_responses' ? request : {},
      },
    }),
  };
}
