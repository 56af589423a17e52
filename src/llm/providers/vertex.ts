/**
 * Google Vertex AI (https://cloud.google.com/vertex-ai/docs/reference/rest). Callers name project,
 * location, publisher and model in the path; all forms are brought into
 *
 *   /{v1|v1beta1}/projects/{project}/locations/{location}/publishers/{publisher}/models/{model}:{action}
 *
 * A key that may bill several projects would let a caller choose among them, so the project is that
 * of the credential, or the one in the base URL (`https://HOST/v1/projects/P/locations/L`); a path
 * that names another is refused.
 */
import type { Format } from '../surface.ts';
import { upstreamError } from './contract.ts';
import type { UpstreamInput, UpstreamRequest } from './contract.ts';
import { stripForVertex } from './gemini-on-vertex.ts';
import type { GoogleAccess, GoogleTokens } from './google-tokens.ts';
import type { Header } from './headers.ts';
import { googleKeyHeader, only, outgoingHeaders, sendsOurs } from './headers.ts';
import { encodeGoogleModel, requestTarget, unsupportedFormat, withoutVersion } from './paths.ts';
import type { ProvidersPorts } from './ports.ts';

/** What clients write where they do not know (names as in Aperture). */
const AUTO_PROJECT = '_aperture_auto_vertex_project_id_';
const AUTO_REGION = '_aperture_auto_vertex_region_';

export function createVertex(
  google: GoogleTokens,
  ports: ProvidersPorts,
): (input: UpstreamInput) => UpstreamRequest | Promise<UpstreamRequest> {
  return (input) => {
    if (!sendsOurs(input)) return build(input, null, null);
    const access = findAccess(input, google, ports);
    if (access === null) return build(input, googleKeyHeader(input), null);
    if (access instanceof Promise) return access.then((found) => buildWith(input, found));
    return buildWith(input, access);
  };
}

function findAccess(
  input: UpstreamInput,
  google: GoogleTokens,
  ports: ProvidersPorts,
): GoogleAccess | Promise<GoogleAccess> | null {
  if (input.credential !== null) return google.fromSecret(input.credential.secret);
  const { origin } = input.provider.baseUrl;
  if (!isGoogleOrigin(origin) && !ports.operator.trustedOrigins.has(origin)) {
    throw upstreamError(
      'upstream_credential_missing',
      `the operator's Google credentials go to googleapis.com only, not to ${origin}; enter a key for this provider`,
    );
  }
  return google.ambient();
}

function isGoogleOrigin(origin: string): boolean {
  return /^https:\/\/(?:[a-z0-9-]+\.)+googleapis\.com$/.test(origin);
}

function buildWith(input: UpstreamInput, access: GoogleAccess): UpstreamRequest {
  return build(input, ['authorization', `Bearer ${access.token}`], access.projectId);
}

function build(input: UpstreamInput, key: Header | null, ownProject: string | null): UpstreamRequest {
  const { baseUrl } = input.provider;
  const express = key === null || key[0] === 'x-goog-api-key';
  const path = vertexPath(input, { ownProject, express });
  const body = input.match.format.startsWith('gemini_') ? stripForVertex(input.body) : input.body;
  return {
    origin: baseUrl.origin,
    path: requestTarget(path, baseUrl.query ?? '', input.query),
    headers: outgoingHeaders({ ...input, body }, { set: only(key) }),
    body,
  };
}

const MODEL_FORMATS: ReadonlySet<Format> = new Set<Format>([
  'gemini_generate_content',
  'gemini_count_tokens',
  'gemini_embed_content',
  'google_generate_content',
  'google_raw_predict',
]);

/** What Vertex's OpenAI-compatible endpoint serves. */
const OPENAI_FORMATS: ReadonlySet<Format> = new Set<Format>(['openai_chat', 'openai_embeddings']);

/** The last segment: a model and what is asked of it. Claude's token counting has its model in the body. */
function modelAction({ match, model }: UpstreamInput): string {
  if (match.format === 'google_raw_predict' && match.modelInBody) return 'count-tokens:rawPredict';
  return `${encodeGoogleModel(model)}:${match.action}`;
}

interface Place {
  /** Of the credential; null if it names none. */
  readonly ownProject: string | null;
  /** An API key of the express mode, which needs no project; or the caller's own credential. */
  readonly express: boolean;
}

function vertexPath(input: UpstreamInput, place: Place): string {
  const base = parseBase(input.provider.baseUrl.pathPrefix);
  const asked = parseAsked(input.path);
  const { format } = input.match;
  const { origin } = input.provider.baseUrl;
  if (MODEL_FORMATS.has(format)) {
    const tail = `publishers/${asked.publisher}/models/${modelAction(input)}`;
    const project = chooseProject(asked.project, base.project, place);
    if (project === null) return `${base.root}/${asked.version}/${tail}`;
    const location = chooseLocation(asked.location, base.location, origin);
    return `${base.root}/${asked.version}/projects/${project}/locations/${location}/${tail}`;
  }
  if (!OPENAI_FORMATS.has(format)) return unsupportedFormat(input);
  const project = chooseProject(null, base.project, { ...place, express: false });
  const location = chooseLocation(null, base.location, origin);
  return `${base.root}/v1/projects/${project}/locations/${location}/endpoints/openapi${withoutVersion(input.path)}`;
}

interface Base {
  readonly root: string;
  readonly project: string | null;
  readonly location: string | null;
}

/** What the base URL fixes: `…/v1/projects/P/locations/L`, each part optional. */
function parseBase(prefix: string): Base {
  const found =
    /^(.*?)(?:\/v1(?:beta1?)?)?(?:\/projects\/([^/]+))?(?:\/locations\/([^/]+))?(?:\/publishers(?:\/[^/]+)?)?\/?$/.exec(
      prefix,
    );
  return { root: found?.[1] ?? '', project: found?.[2] ?? null, location: found?.[3] ?? null };
}

interface Asked {
  readonly version: 'v1' | 'v1beta1';
  /** Null: not named, or left to us by the placeholder. */
  readonly project: string | null;
  readonly location: string | null;
  readonly publisher: string;
}

/** Names in paths: letters, digits and a few signs, so that nothing else can be smuggled into the path we write. */
const PLAIN = /^[A-Za-z0-9._:-]+$/;

function parseAsked(path: string): Asked {
  const parts = path.split('/').slice(1);
  const version = /^v1(?:beta1?)?$/.test(parts[0] ?? '') ? parts.shift() : 'v1';
  // In this order only: a model id may hold slashes and any of these words.
  const named = (collection: string): string | null => {
    if (parts[0] !== collection) return null;
    const [, value = ''] = parts.splice(0, 2);
    if (value === AUTO_PROJECT || value === AUTO_REGION) return null;
    if (PLAIN.test(value)) return value;
    throw upstreamError('upstream_path_refused', `the path names ${collection} that are not plain names`);
  };
  return {
    // The stable version where the caller named none, as Claude Code does; the short paths of the
    // Gemini API belong to clients that use the newest fields.
    version: version === 'v1' ? 'v1' : 'v1beta1',
    project: named('projects'),
    location: named('locations'),
    publisher: named('publishers') ?? 'google',
  };
}

function chooseProject(asked: string | null, fixed: string | null, place: Place): string | null {
  const allowed = fixed ?? place.ownProject;
  if (asked === null) {
    if (allowed !== null) return allowed;
    if (place.express) return null;
    throw upstreamError(
      'upstream_place_unknown',
      'the credential of this vertex provider names no project; write it into baseurl: https://HOST/v1/projects/PROJECT',
    );
  }
  if (allowed === null || asked === allowed) return asked;
  throw upstreamError(
    'upstream_place_refused',
    `this vertex provider is for project ${allowed}, the request names ${asked}; use ${AUTO_PROJECT}, or write the project into baseurl`,
  );
}

function chooseLocation(asked: string | null, fixed: string | null, origin: string): string {
  if (asked === null) return fixed ?? locationOfHost(origin);
  if (fixed === null || asked === fixed) return asked;
  throw upstreamError(
    'upstream_place_refused',
    `this vertex provider is for location ${fixed}, the request names ${asked}; use ${AUTO_REGION}`,
  );
}

/** `us-east5-aiplatform.googleapis.com` is a region, `aiplatform.eu.rep.googleapis.com` a multi-region, else global. */
function locationOfHost(origin: string): string {
  const host = origin.slice(origin.indexOf('//') + 2);
  const found =
    /^([a-z0-9-]+)-aiplatform\.googleapis\.com$/.exec(host) ??
    /^aiplatform\.([a-z0-9-]+)\.rep\.googleapis\.com$/.exec(host);
  return found?.[1] ?? 'global';
}
