/** Joins readers and writers of requests and answers to translators, one for each ordered pair of formats. */
import type { BodyFacts } from '../request-body.ts';
import type { Format, SurfaceMatch } from '../surface.ts';
import { carryAnswers } from './answers/carried.ts';
import { createAnswers } from './answers/translation.ts';
import type {
  TargetFormat,
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
import { carryToCloud, writeCloudRequest, type CloudFormat } from './requests/cloud-claude.ts';
import { malformed, type RequestReader, type RequestWriter } from './requests/context.ts';
import { writeConverseRequest } from './requests/converse-write.ts';
import { readGeminiRequest } from './requests/gemini-read.ts';
import { writeGeminiRequest } from './requests/gemini-write.ts';
import { readChatRequest } from './requests/openai-chat-read.ts';
import { writeChatRequest } from './requests/openai-chat-write.ts';
import { readResponsesRequest } from './requests/openai-responses-read.ts';
import { writeResponsesRequest } from './requests/openai-responses-write.ts';
import { ANTHROPIC_NAMES, SHORT_NAMES, ToolNames, type NameRule } from './tool-names.ts';

const READERS: Readonly<Record<TranslatedFormat, RequestReader>> = {
  anthropic_messages: readAnthropicRequest,
  openai_chat: readChatRequest,
  openai_responses: readResponsesRequest,
  gemini_generate_content: readGeminiRequest,
};

interface TargetRequest {
  readonly write: RequestWriter;
  readonly names: NameRule;
  readonly surface: (model: string, stream: boolean) => Surface;
}

interface Surface {
  readonly path: string;
  readonly query: string;
  readonly match: SurfaceMatch;
}

const TARGETS: Readonly<Record<TargetFormat, TargetRequest>> = {
  anthropic_messages: {
    write: writeAnthropicRequest,
    names: ANTHROPIC_NAMES,
    surface: () => bodySurface('/v1/messages', 'anthropic_messages', 'anthropic'),
  },
  openai_chat: {
    write: writeChatRequest,
    names: SHORT_NAMES,
    surface: () => bodySurface('/v1/chat/completions', 'openai_chat', 'openai'),
  },
  openai_responses: {
    write: writeResponsesRequest,
    names: SHORT_NAMES,
    surface: () => bodySurface('/v1/responses', 'openai_responses', 'openai'),
  },
  gemini_generate_content: { write: writeGeminiRequest, names: SHORT_NAMES, surface: geminiSurface },
  google_raw_predict: {
    write: (conversation, context) => writeCloudRequest('google_raw_predict', conversation, context),
    names: SHORT_NAMES,
    surface: rawPredictSurface,
  },
  bedrock_model_invoke: {
    write: (conversation, context) => writeCloudRequest('bedrock_model_invoke', conversation, context),
    names: SHORT_NAMES,
    surface: (model, stream) =>
      bedrockSurface('bedrock_model_invoke', model, {
        action: stream ? 'invoke-with-response-stream' : 'invoke',
        stream,
      }),
  },
  bedrock_converse: {
    write: writeConverseRequest,
    names: SHORT_NAMES,
    surface: (model, stream) =>
      bedrockSurface('bedrock_converse', model, { action: stream ? 'converse-stream' : 'converse', stream }),
  },
};

function bodySurface(path: string, format: Format, dialect: SurfaceMatch['dialect']): Surface {
  return {
    path,
    query: '',
    match: { format, dialect, model: null, modelInBody: true, stream: null, action: '', objectId: null },
  };
}

function rawPredictSurface(model: string, stream: boolean): Surface {
  const action = stream ? 'streamRawPredict' : 'rawPredict';
  return pathSurface(`/v1/publishers/anthropic/models/${encodeURIComponent(model)}:${action}`, {
    format: 'google_raw_predict',
    dialect: 'google',
    model,
    stream,
    action,
  });
}

function bedrockSurface(
  format: Format,
  model: string,
  { action, stream }: { readonly action: string; readonly stream: boolean },
): Surface {
  const path = `/model/${encodeURIComponent(model)}/${action}`;
  return pathSurface(path, { format, dialect: 'bedrock', model, stream, action });
}

/** A route that names the model and the action in its path. */
function pathSurface(
  path: string,
  match: Pick<SurfaceMatch, 'format' | 'dialect' | 'model' | 'stream' | 'action'>,
): Surface {
  return { path, query: '', match: { ...match, modelInBody: false, objectId: null } };
}

function geminiSurface(model: string, stream: boolean): Surface {
  const action = stream ? 'streamGenerateContent' : 'generateContent';
  const path = `/v1beta/models/${encodeURIComponent(model)}:${action}`;
  const surface = pathSurface(path, {
    format: 'gemini_generate_content',
    dialect: 'google',
    model,
    stream,
    action,
  });
  return stream ? { ...surface, query: 'alt=sse' } : surface;
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
export function translator(from: TranslatedFormat, to: TargetFormat): Translator | null {
  if (from === to) return null;
  if (from === 'anthropic_messages' && (to === 'bedrock_model_invoke' || to === 'google_raw_predict'))
    return { from, to, request: (facts, target) => carry(to, facts, target) };
  return { from, to, request: (facts, target) => translate(from, to, facts, target) };
}

/** The caller's own words go to the cloud; they are read only for their losses and size. */
function carry(
  to: CloudFormat,
  facts: BodyFacts,
  target: TranslationTarget,
): TranslatedRequest | TranslationProblem {
  if (facts.kind !== 'json') return malformed('a form cannot be translated');
  const request = facts.value();
  const { stream } = facts;
  const conversation = readAnthropicRequest(request, { losses: new Losses(), stream });
  if ('problem' in conversation) return conversation;
  const losses = new Losses();
  const origin = originOf(to, target.provider);
  const { body, headers } = carryToCloud(to, request, { target, losses, origin });
  return {
    ...TARGETS[to].surface(target.model, stream),
    headers,
    body: Buffer.from(JSON.stringify(body), 'utf8'),
    losses: losses.list(),
    stream,
    estimatedInputTokens: estimateInput(conversation),
    answers: carryAnswers(to),
  };
}

function translate(
  from: TranslatedFormat,
  to: TargetFormat,
  facts: BodyFacts,
  target: TranslationTarget,
): TranslatedRequest | TranslationProblem {
  if (facts.kind !== 'json') return malformed('a form cannot be translated');
  const losses = new Losses();
  const request = facts.value();
  const conversation = READERS[from](request, { losses, stream: facts.stream });
  if ('problem' in conversation) return conversation;
  const { write, names: rule, surface } = TARGETS[to];
  const names = new ToolNames(rule);
  for (const { name } of conversation.tools) names.wire(name);
  const origin = originOf(to, target.provider);
  const body = Buffer.from(JSON.stringify(write(conversation, { losses, target, names, origin })), 'utf8');
  const { stream, includeUsage } = conversation;
  const estimatedInputTokens = estimateInput(conversation);
  return {
    ...surface(target.model, stream),
    headers: [],
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
