/**
 * The routes of the LLM surface: from method and path to wire format, dialect and model.
 * Paths are those of the providers' own APIs (OpenAI, Anthropic, Gemini, Vertex AI, Bedrock) as
 * their clients send them. Left out: the gateway's own paths and everything not in the tables,
 * which is a miss.
 */
import type { Dialect, Format, ObjectKind, SurfaceMatch } from './surface.ts';

/** Why a path is no route. */
export type SurfaceMissReason = 'unknown_path' | 'doubled_version' | 'method_not_allowed' | 'bad_model_id';

/** A request that no route serves, with the dialect in which to say so. */
export interface SurfaceMiss {
  readonly miss: SurfaceMissReason;
  /** Safe to show; says what would fix it. */
  readonly message: string;
  /** HTTP status to answer with: 404, 405 or 400. */
  readonly status: number;
  readonly dialect: Dialect;
  /** Methods that the path takes; empty unless `miss` is `method_not_allowed`. */
  readonly allow: readonly string[];
}

export function isSurfaceMiss(found: SurfaceMatch | SurfaceMiss): found is SurfaceMiss {
  return 'miss' in found;
}

/** Longest model or object id taken from a path, decoded. Bedrock's ARNs are below 2,048. */
const PATH_ID_MAX = 2_048;
/** Longer paths are no route. */
const PATH_MAX = 4_096;

/** A route without a model or id in its path. */
interface FixedRoute {
  readonly methods: readonly string[];
  readonly format: Format;
  readonly dialect: Dialect;
  readonly modelInBody?: boolean;
  readonly stream?: boolean | null;
  readonly action?: string;
  /** Format for callers that send `anthropic-version`. */
  readonly anthropic?: Format;
  /** What the path makes and lists. */
  readonly objectKind?: ObjectKind;
}

const GET = ['GET', 'HEAD'] as const;
const POST = ['POST'] as const;
const GET_POST = ['GET', 'HEAD', 'POST'] as const;
const GET_DELETE = ['GET', 'HEAD', 'DELETE'] as const;
const GET_POST_DELETE = ['GET', 'HEAD', 'POST', 'DELETE'] as const;
const GET_PATCH_DELETE = ['GET', 'HEAD', 'PATCH', 'DELETE'] as const;

function generation(format: Format, dialect: Dialect, stream: boolean | null, action = ''): FixedRoute {
  return { methods: POST, format, dialect, modelInBody: true, stream, action };
}

/** Routes by their whole path. */
const FIXED: ReadonlyMap<string, FixedRoute> = new Map<string, FixedRoute>([
  ['/v1/chat/completions', generation('openai_chat', 'openai', null)],
  ['/v1/completions', generation('openai_completions', 'openai', null)],
  ['/v1/responses', generation('openai_responses', 'openai', null)],
  ['/v1/responses/compact', generation('openai_responses', 'openai', false, 'compact')],
  ['/v1/responses/input_tokens', generation('openai_responses', 'openai', false, 'input_tokens')],
  ['/v1/embeddings', generation('openai_embeddings', 'openai', false)],
  ['/v1/images/generations', generation('openai_images', 'openai', null, 'generations')],
  ['/v1/images/edits', generation('openai_images', 'openai', null, 'edits')],
  ['/v1/images/variations', generation('openai_images', 'openai', false, 'variations')],
  ['/v1/audio/speech', generation('openai_audio_speech', 'openai', null)],
  ['/v1/audio/transcriptions', generation('openai_audio_transcription', 'openai', null, 'transcriptions')],
  ['/v1/audio/translations', generation('openai_audio_transcription', 'openai', false, 'translations')],
  ['/v1/moderations', generation('openai_moderations', 'openai', false)],
  [
    '/v1/files',
    {
      methods: GET_POST,
      format: 'openai_files',
      dialect: 'openai',
      anthropic: 'anthropic_files',
      objectKind: 'file',
    },
  ],
  ['/v1/uploads', { methods: POST, format: 'openai_files', dialect: 'openai', objectKind: 'upload' }],
  ['/v1/batches', { methods: GET_POST, format: 'openai_batches', dialect: 'openai', objectKind: 'batch' }],
  [
    '/v1/conversations',
    { methods: POST, format: 'openai_objects', dialect: 'openai', objectKind: 'conversation' },
  ],
  [
    '/v1/containers',
    { methods: GET_POST, format: 'openai_objects', dialect: 'openai', objectKind: 'container' },
  ],
  ['/v1/messages', generation('anthropic_messages', 'anthropic', null)],
  ['/v1/messages/count_tokens', generation('anthropic_count_tokens', 'anthropic', false)],
  [
    '/v1/messages/batches',
    {
      methods: GET_POST,
      format: 'anthropic_batches',
      dialect: 'anthropic',
      objectKind: 'message_batch',
    },
  ],
  ['/v1/models', { methods: GET, format: 'models', dialect: 'openai', anthropic: 'models' }],
  ['/v1beta/models', { methods: GET, format: 'models', dialect: 'google' }],
  [
    '/v1beta/cachedContents',
    {
      methods: GET_POST,
      format: 'gemini_caches',
      dialect: 'google',
      objectKind: 'cache',
    },
  ],
  ['/api/hello', { methods: GET, format: 'models', dialect: 'anthropic', action: 'hello' }],
  [
    '/inference-profiles',
    { methods: GET, format: 'models', dialect: 'bedrock', action: 'inference-profiles' },
  ],
  [
    '/bedrock/inference-profiles',
    { methods: GET, format: 'models', dialect: 'bedrock', action: 'inference-profiles' },
  ],
]);

/**
 * The answers for a fixed path, ready and frozen, because these paths are most of the traffic. All
 * three are the same object where the caller's headers decide nothing.
 */
interface ReadyMatches {
  readonly methods: readonly string[];
  /** For callers that send `anthropic-version`. */
  readonly forAnthropic: SurfaceMatch;
  /** For Google's client, where that header is not. */
  readonly forGoogle: SurfaceMatch;
  readonly forOthers: SurfaceMatch;
}

const READY: ReadonlyMap<string, ReadyMatches> = new Map(
  [...FIXED].map(([path, route]) => [path, readyMatches(path, route)]),
);

function readyMatches(path: string, route: FixedRoute): ReadyMatches {
  const own = fixedMatch(route, route.dialect, route.format);
  const forGoogle = path === '/v1/models' ? fixedMatch(route, 'google', route.format) : own;
  return {
    methods: route.methods,
    forAnthropic: route.anthropic === undefined ? own : fixedMatch(route, 'anthropic', route.anthropic),
    forGoogle,
    forOthers: own,
  };
}

function fixedMatch(route: FixedRoute, dialect: Dialect, format: Format): SurfaceMatch {
  return Object.freeze({
    format,
    dialect,
    model: null,
    modelInBody: route.modelInBody ?? false,
    stream: route.stream === undefined ? false : route.stream,
    action: route.action ?? '',
    objectId: null,
    ...(route.objectKind === undefined ? {} : { objectKind: route.objectKind }),
  });
}

/**
 * Routes with the id of a provider object: prefix, then the id, then one of `actions`. What lies
 * inside an object (the files of a container, the items of a conversation) is named below it and
 * belongs to whom the object belongs.
 */
interface ObjectRoute {
  readonly prefix: string;
  readonly kind: ObjectKind;
  readonly format: Format;
  readonly dialect: Dialect;
  readonly anthropic?: Format;
  /** Stands before the id of the path where bodies and answers name the object. */
  readonly idPrefix?: string;
  /** Methods by what follows the id: '' is the object itself, `*` the id of something inside it. */
  readonly actions: Readonly<Record<string, readonly string[]>>;
}

const OBJECTS: readonly ObjectRoute[] = [
  {
    prefix: '/v1/responses/',
    kind: 'response',
    format: 'openai_objects',
    dialect: 'openai',
    actions: { '': GET_DELETE, cancel: POST, input_items: GET },
  },
  {
    prefix: '/v1/conversations/',
    kind: 'conversation',
    format: 'openai_objects',
    dialect: 'openai',
    actions: { '': GET_POST_DELETE, items: GET_POST, 'items/*': GET_DELETE },
  },
  {
    prefix: '/v1/containers/',
    kind: 'container',
    format: 'openai_objects',
    dialect: 'openai',
    actions: { '': GET_DELETE, files: GET_POST, 'files/*': GET_DELETE, 'files/*/content': GET },
  },
  {
    prefix: '/v1/files/',
    kind: 'file',
    format: 'openai_files',
    dialect: 'openai',
    anthropic: 'anthropic_files',
    actions: { '': GET_DELETE, content: GET },
  },
  {
    prefix: '/v1/uploads/',
    kind: 'upload',
    format: 'openai_files',
    dialect: 'openai',
    actions: { parts: POST, complete: POST, cancel: POST },
  },
  {
    prefix: '/v1/batches/',
    kind: 'batch',
    format: 'openai_batches',
    dialect: 'openai',
    actions: { '': GET, cancel: POST },
  },
  {
    prefix: '/v1/messages/batches/',
    kind: 'message_batch',
    format: 'anthropic_batches',
    dialect: 'anthropic',
    actions: { '': GET_DELETE, cancel: POST, results: GET },
  },
  {
    prefix: '/v1beta/cachedContents/',
    kind: 'cache',
    format: 'gemini_caches',
    dialect: 'google',
    idPrefix: 'cachedContents/',
    actions: { '': GET_PATCH_DELETE },
  },
];

/** A model route of Google's or Bedrock's: what the action after the model means. */
interface ModelAction {
  readonly format: Format;
  readonly stream: boolean;
}

const GEMINI_ACTIONS: Readonly<Record<string, ModelAction>> = {
  generateContent: { format: 'gemini_generate_content', stream: false },
  streamGenerateContent: { format: 'gemini_generate_content', stream: true },
  countTokens: { format: 'gemini_count_tokens', stream: false },
  embedContent: { format: 'gemini_embed_content', stream: false },
  batchEmbedContents: { format: 'gemini_embed_content', stream: false },
};

const VERTEX_ACTIONS: Readonly<Record<string, ModelAction>> = {
  ...GEMINI_ACTIONS,
  generateContent: { format: 'google_generate_content', stream: false },
  streamGenerateContent: { format: 'google_generate_content', stream: true },
  rawPredict: { format: 'google_raw_predict', stream: false },
  streamRawPredict: { format: 'google_raw_predict', stream: true },
};

const BEDROCK_ACTIONS: Readonly<Record<string, ModelAction>> = {
  invoke: { format: 'bedrock_model_invoke', stream: false },
  'invoke-with-response-stream': { format: 'bedrock_model_invoke', stream: true },
  converse: { format: 'bedrock_converse', stream: false },
  'converse-stream': { format: 'bedrock_converse', stream: true },
};

/** Vertex AI, with or without a version, full or express (no project). Group 1: model and action. */
const VERTEX_PATH =
  /^(?:\/v1|\/v1beta1)?(?:\/projects\/\w[\w.:-]*\/locations\/\w[\w-]*)?\/publishers\/\w[\w-]*\/models\/([^?#]+)$/;
const GEMINI_PATH = /^\/v1(?:beta|alpha)?\/models\/([^?#]+)$/;
const BEDROCK_PATH = /^(?:\/bedrock)?\/model\/([^?#]+)\/([a-z-]+)$/;
/** What `AzureOpenAI` of OpenAI's SDKs sends, with a base URL of Azure's kind or of ours. */
const AZURE_PATH = /^(?:\/v1)?\/(?:openai|deployments)\//;
const DOUBLED_VERSION = /^\/v1(?:beta1?|alpha)?\/v1(?:beta1?|alpha)?(?:\/|$)/;

/**
 * Finds the route of a request. `path` is as on the wire, without its query; `hasAnthropicVersion`
 * says whether the caller sent `anthropic-version`, which decides the dialect of the paths that
 * OpenAI and Anthropic share; `hasGoogleClient`, whether it sent `x-goog-api-client` or
 * `x-goog-api-key`, does so for `/v1/models`, where `@google/genai` asks for Gemini's list.
 * Never throws.
 */
export function matchSurface(
  method: string,
  path: string,
  hasAnthropicVersion: boolean,
  hasGoogleClient = false,
): SurfaceMatch | SurfaceMiss {
  const fixed = READY.get(path);
  if (fixed !== undefined) {
    const match = hasAnthropicVersion
      ? fixed.forAnthropic
      : hasGoogleClient
        ? fixed.forGoogle
        : fixed.forOthers;
    return fixed.methods.includes(method) ? match : methodMiss(match.dialect, method, fixed.methods);
  }
  const dialect = dialectOf(path, hasAnthropicVersion);
  if (path.length > PATH_MAX) return unknownPath(dialect);
  if (DOUBLED_VERSION.test(path)) return doubledVersion(dialect);
  return (
    matchObject(method, path, hasAnthropicVersion) ??
    matchBedrock(method, path) ??
    matchVertex(method, path) ??
    matchModels(method, path, hasGoogleClient && dialect === 'openai' ? 'google' : dialect) ??
    (AZURE_PATH.test(path) ? azurePath(dialect) : unknownPath(dialect))
  );
}

function matchObject(
  method: string,
  path: string,
  hasAnthropicVersion: boolean,
): SurfaceMatch | SurfaceMiss | null {
  const route = OBJECTS.find((candidate) => path.startsWith(candidate.prefix));
  if (route === undefined) return null;
  const dialect = hasAnthropicVersion && route.anthropic !== undefined ? 'anthropic' : route.dialect;
  const [rawId = '', ...rest] = path.slice(route.prefix.length).split('/');
  const action = actionOf(rest);
  const methods = Object.hasOwn(route.actions, action) ? route.actions[action] : undefined;
  if (methods === undefined || !OBJECT_ID.test(rawId) || path.endsWith('/')) return unknownPath(dialect);
  if (!methods.includes(method)) return methodMiss(dialect, method, methods);
  const format = dialect === 'anthropic' ? (route.anthropic ?? route.format) : route.format;
  return {
    format,
    dialect,
    model: null,
    modelInBody: false,
    // A stored response can be streamed again (`?stream=true`): the query decides, not a body.
    stream: false,
    action,
    objectId: `${route.idPrefix ?? ''}${rawId}`,
    objectKind: route.kind,
  };
}

/** What follows the id, with `*` for the id of something inside the object. */
function actionOf([part = '', inner, ...rest]: readonly string[]): string {
  if (inner === undefined) return part;
  return [part, OBJECT_ID.test(inner) ? '*' : '', ...rest].join('/');
}

function matchBedrock(method: string, path: string): SurfaceMatch | SurfaceMiss | null {
  const [, model, action] = BEDROCK_PATH.exec(path) ?? [];
  if (model === undefined || action === undefined) return null;
  return matchModelAction(method, 'bedrock', model, BEDROCK_ACTIONS, action);
}

function matchVertex(method: string, path: string): SurfaceMatch | SurfaceMiss | null {
  const [, rest] = VERTEX_PATH.exec(path) ?? [];
  const colon = rest === undefined ? -1 : rest.lastIndexOf(':');
  if (rest === undefined || colon < 0) return null;
  const action = rest.slice(colon + 1);
  if (decodeModelId(rest.slice(0, colon)) === COUNT_TOKENS) {
    const isClaudes = action === 'rawPredict' && path.includes('/publishers/anthropic/models/');
    return isClaudes ? matchClaudeCount(method) : unknownPath('google');
  }
  return matchModelAction(method, 'google', rest.slice(0, colon), VERTEX_ACTIONS, action);
}

/**
 * Claude's token counting on Vertex stands where a model's name does, and names its model in the body
 * (https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens).
 */
const COUNT_TOKENS = 'count-tokens';

function matchClaudeCount(method: string): SurfaceMatch | SurfaceMiss {
  if (method !== 'POST') return methodMiss('google', method, POST);
  return {
    format: 'google_raw_predict',
    dialect: 'google',
    model: null,
    modelInBody: true,
    stream: false,
    action: 'countTokens',
    objectId: null,
  };
}

/** `/v1/models/{id}` and `/v1beta/models/{id}` read a model; with `:action` they are Gemini's. */
function matchModels(method: string, path: string, dialect: Dialect): SurfaceMatch | SurfaceMiss | null {
  const [, rest] = GEMINI_PATH.exec(path) ?? [];
  if (rest === undefined) return null;
  const colon = rest.lastIndexOf(':');
  const action = rest.slice(colon + 1);
  if (colon >= 0 && Object.hasOwn(GEMINI_ACTIONS, action)) {
    return matchModelAction(method, 'google', rest.slice(0, colon), GEMINI_ACTIONS, action);
  }
  if (path.startsWith('/v1alpha/')) return null;
  const listDialect = path.startsWith('/v1beta/') ? 'google' : dialect;
  const model = decodeModelId(rest);
  if (model === null) return badModelId(listDialect);
  if (!GET.some((allowed) => allowed === method)) return methodMiss(listDialect, method, GET);
  return {
    format: 'models',
    dialect: listDialect,
    model,
    modelInBody: false,
    stream: false,
    action: '',
    objectId: null,
  };
}

function matchModelAction(
  method: string,
  dialect: Dialect,
  rawModel: string,
  actions: Readonly<Record<string, ModelAction>>,
  action: string,
): SurfaceMatch | SurfaceMiss {
  const meaning = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (meaning === undefined) return unknownPath(dialect);
  const model = decodeModelId(rawModel);
  if (model === null) return badModelId(dialect);
  if (method !== 'POST') return methodMiss(dialect, method, POST);
  return {
    format: meaning.format,
    dialect,
    model,
    modelInBody: false,
    stream: meaning.stream,
    action,
    objectId: null,
  };
}

/** Where an upstream address is built from it, an id must not climb, split or end the path. */
// oxlint-disable-next-line no-control-regex -- control characters are what is refused
const UNSAFE_ID = /[\u0000-\u0020\u007f\\?#]|(?:^|\/)\.{0,2}(?:\/|$)/;

/** A model id from a path: slashes raw or as `%2F`. Null if it is malformed or unsafe. */
function decodeModelId(raw: string): string | null {
  const decoded = percentDecode(raw);
  if (decoded === null || decoded.length === 0 || decoded.length > PATH_ID_MAX || UNSAFE_ID.test(decoded))
    return null;
  return decoded;
}

/** Providers' object ids are plain words: `resp_…`, `file-…`, `msgbatch_…`. */
const OBJECT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,255}$/;

function percentDecode(raw: string): string | null {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    return null;
  }
}

/** Whose conventions a path follows, also where it is no route. */
function dialectOf(path: string, hasAnthropicVersion: boolean): Dialect {
  if (/^\/(?:v1\/)*messages(?:\/|$)/.test(path) || path.startsWith('/api/')) return 'anthropic';
  if (/^\/(?:bedrock|model|inference-profiles)(?:\/|$)/.test(path)) return 'bedrock';
  if (/^\/(?:v1beta1?|v1alpha|projects)(?:\/|$)/.test(path) || path.startsWith('/v1/projects/'))
    return 'google';
  return hasAnthropicVersion ? 'anthropic' : 'openai';
}

function unknownPath(dialect: Dialect): SurfaceMiss {
  return { miss: 'unknown_path', message: 'this path is not served', status: 404, dialect, allow: [] };
}

function azurePath(dialect: Dialect): SurfaceMiss {
  const message =
    "this is a path of Azure's own API, which is not served: use the client OpenAI instead of AzureOpenAI, with a base URL that ends in /v1 and the deployment's name as the model";
  return { miss: 'unknown_path', message, status: 404, dialect, allow: [] };
}

function doubledVersion(dialect: Dialect): SurfaceMiss {
  const message =
    'the path names the API version twice: remove the version (such as /v1) from the base URL of the client';
  return { miss: 'doubled_version', message, status: 404, dialect, allow: [] };
}

function badModelId(dialect: Dialect): SurfaceMiss {
  const message =
    'the model id in the path is malformed: slashes go raw or as %2F, other reserved characters percent-encoded';
  return { miss: 'bad_model_id', message, status: 400, dialect, allow: [] };
}

function methodMiss(dialect: Dialect, method: string, allow: readonly string[]): SurfaceMiss {
  const message = `this path does not take ${/^[A-Z]{1,16}$/.test(method) ? method : 'that method'}: it takes ${allow.join(', ')}`;
  return { miss: 'method_not_allowed', message, status: 405, dialect, allow };
}
