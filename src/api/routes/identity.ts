/** Who am I, what may I use, and what this server is set to: what a client and the first page ask first. */
import { createRoute, z } from '@hono/zod-openapi';
import { callerLabel } from '../../identity/caller.ts';
import type { Actor } from '../actor.ts';
import { clientSettings, type ClientFormat } from '../connect-snippets.ts';
import { consoleOrigin } from '../access.ts';
import { ApiError } from '../errors.ts';
import type { AccessView, ApiDependencies, ModelView } from '../ports.ts';
import { preferredModel } from '../preferred-model.ts';
import type { ClaimDesk } from '../presence/claim.ts';
import { type ApiContext, type ApiRouter, ownOrigin } from '../router.ts';
import { json, listOf, NameText, NullableTime, timeText } from '../schemas.ts';

const KNOWN = { role: 'known', presence: false, scope: null } as const;
const USER = { role: 'user', presence: false, scope: 'read' } as const;
/** Listing one's models belongs to using them, so that `use` tokens may. */
const ANY_TOKEN = { role: 'user', presence: false, scope: null } as const;

const WhoamiSchema = z
  .object({
    principal: z.string(),
    label: z.string(),
    door: z.string(),
    via: z.string().nullable().describe('The door that a presented token replaced.'),
    tailnet: z.string(),
    user: z.object({ id: z.string(), login: z.string(), display_name: z.string().nullable() }).nullable(),
    device: z.object({ id: z.string(), name: z.string(), tags: z.array(z.string()) }).nullable(),
    groups: z.array(z.string()),
    roles: z.array(z.string()),
    leads: z.array(z.string()),
    token: z.object({ id: z.string(), scopes: z.array(z.string()), expires_at: NullableTime }).nullable(),
    presence: z.string().nullable().describe('How presence was shown.'),
    presence_until: NullableTime,
    demo: z.boolean().describe('Everything here is made up.'),
  })
  .openapi('Whoami');

const ModelSchema = z
  .object({
    id: z.string(),
    provider: z.string(),
    formats: z.array(z.string()),
    context_window: z.int().nullable(),
    max_output: z.int().nullable(),
    modalities: z
      .object({ input: z.array(z.string()), output: z.array(z.string()) })
      .nullable()
      .describe('`text`, `image`, `audio`, `video`, `pdf`, `embedding`; null where unknown.'),
    test: z.boolean().describe("Postern's own test model, which answers without any provider."),
    capture: z.string().nullable().describe('What is kept of your requests to it.'),
  })
  .openapi('Model');

const StatusSchema = z
  .object({
    version: z.string(),
    claimed: z.boolean(),
    time: z.string(),
    capture: z.array(z.string()).describe('Capture modes that hold for the models you may use.'),
    providers: z.array(z.object({ id: z.string(), name: z.string(), kind: z.string(), test: z.boolean() })),
    document: z
      .object({ source: z.enum(['store', 'file', 'none']), version: z.int(), error: z.string().nullable() })
      .nullable()
      .describe('Shown to auditors and admins.'),
    network: z
      .object({
        state: z.string(),
        dns_name: z.string(),
        urls: z.array(z.string()).describe('Where other devices of that network reach this gateway.'),
      })
      .nullable()
      .describe('The network that this gateway joined by `postern up`; null where it joined none.'),
  })
  .openapi('Status');

const ConnectSchema = z
  .object({
    client: z.string(),
    title: z.string(),
    format: z.string(),
    base_url: z.string(),
    model: z.string(),
    environment: z.record(z.string(), z.string()),
    files: z.array(z.object({ path: z.string(), language: z.string(), text: z.string() })),
    snippet: z.object({ language: z.string(), text: z.string() }),
    notes: z.array(z.string()),
  })
  .openapi('ClientSettings');

export function addIdentityRoutes(router: ApiRouter, deps: ApiDependencies, claim: ClaimDesk): void {
  router.add(
    KNOWN,
    createRoute({
      method: 'get',
      path: '/api/v1/whoami',
      summary: 'Who you are here',
      responses: { 200: json(WhoamiSchema, 'You.') },
    }),
    (c) => c.json({ ...whoami(c.get('actor')), demo: deps.demo === true }, 200),
  );

  router.add(
    ANY_TOKEN,
    createRoute({
      method: 'get',
      path: '/api/v1/models',
      summary: 'Models that you may use',
      responses: { 200: json(listOf(ModelSchema), 'Models.') },
    }),
    (c) => {
      const { caller, access } = requireCaller(c);
      const items = deps.models(caller).map((model) => ({
        id: model.id,
        provider: model.provider,
        formats: [...model.formats],
        context_window: model.contextWindow,
        max_output: model.maxOutput,
        modalities:
          model.modalities === null
            ? null
            : { input: [...model.modalities.input], output: [...model.modalities.output] },
        test: model.test,
        capture: captureOf(deps, access, model),
      }));
      return c.json({ items, next_cursor: null }, 200);
    },
  );

  router.add(
    USER,
    createRoute({
      method: 'get',
      path: '/api/v1/status',
      summary: 'What this server is set to',
      responses: { 200: json(StatusSchema, 'Status.') },
    }),
    async (c) => c.json(await status(deps, claim, c.get('actor')), 200),
  );

  router.add(
    ANY_TOKEN,
    createRoute({
      method: 'get',
      path: '/api/v1/connect',
      summary: 'Settings for each client',
      request: {
        query: z.object({
          model: NameText.optional().describe('Default: the first that fits each client.'),
        }),
      },
      responses: { 200: json(listOf(ConnectSchema), 'Settings to paste.') },
    }),
    (c) => c.json({ items: connect(deps, c, c.req.valid('query').model), next_cursor: null }, 200),
  );
}

/** The caller behind an actor; the operator's break-glass token stands for nobody and uses no model. */
export function requireCaller(c: ApiContext): {
  caller: NonNullable<Actor['caller']>;
  access: NonNullable<Actor['access']>;
} {
  const { caller, access } = c.get('actor');
  if (caller === null || access === null)
    throw new ApiError('invalid_request', "the operator's token administers; it uses no models of its own");
  return { caller, access };
}

function whoami(actor: Actor): Omit<z.output<typeof WhoamiSchema>, 'demo'> {
  const caller = actor.caller;
  const until = actor.presence?.until ?? null;
  return {
    principal: actor.principal,
    label: caller === null ? actor.label : callerLabel(caller),
    door: actor.door,
    via: caller?.via ?? null,
    tailnet: actor.tailnet,
    user: caller?.user
      ? { id: caller.user.id, login: caller.user.login, display_name: caller.user.displayName }
      : null,
    device: caller?.device
      ? { id: caller.device.stableId, name: caller.device.name, tags: [...caller.device.tags] }
      : null,
    groups: [...(actor.access?.groups ?? [])],
    roles: [...actor.roles].sort(),
    leads: [...actor.leads],
    token: caller?.token
      ? {
          id: caller.token.id,
          scopes: [...caller.token.scopes],
          expires_at: caller.token.expiresAt === null ? null : timeText(caller.token.expiresAt),
        }
      : null,
    presence: actor.presence?.how ?? null,
    presence_until: until === null ? null : timeText(until),
  };
}

async function status(
  deps: ApiDependencies,
  claim: ClaimDesk,
  actor: Actor,
): Promise<z.output<typeof StatusSchema>> {
  const policy = deps.policy.current();
  const models = actor.caller === null ? [] : deps.models(actor.caller);
  const capture = new Set(
    models.map((model) => (actor.access === null ? null : captureOf(deps, actor.access, model))),
  );
  const usable = new Set(models.map((model) => model.provider));
  const all = actor.roles.has('admin') || actor.roles.has('auditor');
  const providers = [...policy.providers.values()].filter(
    (provider) => !provider.disabled && (all || usable.has(provider.id)),
  );
  const document = all ? deps.documents.text() : null;
  return {
    version: deps.version,
    claimed: await claim.isClaimed(),
    time: timeText(deps.clock.now()),
    capture: [...capture].filter((mode) => mode !== null).sort(),
    providers: providers.map((provider) => ({
      id: provider.id,
      name: provider.name || provider.id,
      kind: provider.kind,
      test: provider.builtIn,
    })),
    document:
      document === null
        ? null
        : {
            source: document.source,
            version: document.version,
            error: deps.documents.lastError()?.message ?? null,
          },
    network: networkStatus(deps),
  };
}

function networkStatus({ network }: ApiDependencies): z.output<typeof StatusSchema>['network'] {
  const joined = network?.status() ?? null;
  if (joined === null || joined.state === 'off') return null;
  return { state: joined.state, dns_name: joined.dnsName, urls: [...joined.urls] };
}

/** What is kept of requests to a listed model, whose id may be a bare name, a full one or an alias. */
function captureOf(deps: ApiDependencies, access: AccessView, { id, provider }: ModelView): string | null {
  const candidate = deps.policy
    .current()
    .resolve(id)
    .find((found) => found.provider.id === provider);
  return candidate === undefined ? null : (access.grant(provider, candidate.model)?.capture ?? null);
}

/** The page's own address, so that a snippet works where it is read. */
function connect(
  deps: ApiDependencies,
  c: ApiContext,
  model: string | undefined,
): z.output<typeof ConnectSchema>[] {
  const { caller } = requireCaller(c);
  const models = deps.models(caller);
  const fallback = model ?? preferredModel(models, 'openai_chat') ?? models[0]?.id ?? 'postern/echo';
  const pick = (format: ClientFormat): string => model ?? preferredModel(models, format) ?? fallback;
  const listener = c.get('context').listener;
  const baseUrl =
    listener === 'socket' ? consoleOrigin({ context: c.get('context'), ownOrigin: '' }, deps) : ownOrigin(c);
  const settings = clientSettings({
    baseUrl,
    model: fallback,
    models: {
      anthropic_messages: pick('anthropic_messages'),
      openai_responses: pick('openai_responses'),
      openai_chat: pick('openai_chat'),
      gemini_generate_content: pick('gemini_generate_content'),
    },
  });
  return settings.map((client) => ({
    client: client.client,
    title: client.title,
    format: client.format,
    base_url: client.baseUrl,
    model: client.model,
    environment: { ...client.environment },
    files: client.files.map((file) => ({ ...file })),
    snippet: { ...client.snippet },
    notes: [...client.notes],
  }));
}
