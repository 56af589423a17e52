/**
 * Aperture's management API at its own paths: the document with `ETag` and `If-Match`, its check,
 * the price list, and the list of providers that its command line reads. Errors are RFC 9457.
 */
import { Buffer } from 'node:buffer';
import { createRoute, z } from '@hono/zod-openapi';
import { sha256 } from '../../crypto/index.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies, PriceEntry, ProviderView } from '../ports.ts';
import { type ApiContext, type ApiRouter, untyped } from '../router.ts';
import { json } from '../schemas.ts';
import { DOCUMENT_MAX_BYTES, ProblemItem, problemView, saveDocument } from './config.ts';
import { requireCaller } from './identity.ts';
import { snakeCase } from '../snake-case.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;
const CHECK = { role: 'admin', presence: false, scope: 'read' } as const;
const WRITE = { role: 'admin', presence: true, scope: 'admin' } as const;
const PRICING = { role: 'pricing', presence: false, scope: 'read' } as const;
const ANY_TOKEN = { role: 'user', presence: false, scope: null } as const;

const Document = {
  description: 'The document as HuJSON; secrets are replaced.',
  content: { 'application/json': { schema: z.string() } },
};
const DocumentBody = { required: true, content: { 'application/hujson': { schema: z.string() } } };
const Priced = z.looseObject({ model: z.string() });

const ProviderSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string(),
    models: z.array(z.string()),
    compatibility: z.record(z.string(), z.boolean()),
  })
  .openapi('ProviderSummary');

const EMPTY_DOCUMENT = '{}\n';

export function addApertureRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addDocument(router, deps);
  addPricing(router, deps);
  router.add(
    ANY_TOKEN,
    createRoute({
      method: 'get',
      path: '/api/providers',
      summary: 'Providers with the models that you may use',
      responses: { 200: json(z.array(ProviderSchema), 'Providers.') },
    }),
    (c) => c.json(providers(deps, c), 200),
  );
}

function addDocument(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/aperture/config',
      summary: 'The document',
      responses: { 200: Document, 304: { description: 'Unchanged.' } },
    }),
    (c) => {
      const { text, etag } = deps.documents.text();
      // Where no document was ever saved, an empty one is in force; no text at all is no HuJSON.
      return untyped(conditional(c, etag, text === '' ? EMPTY_DOCUMENT : text));
    },
  );

  router.add(
    WRITE,
    createRoute({
      method: 'put',
      path: '/aperture/config',
      summary: 'Save the document',
      description: '`If-Match` is mandatory (428); another version is 412; problems are 422.',
      request: { body: DocumentBody },
      responses: {
        200: json(
          z.object({ version: z.int(), problems: z.array(ProblemItem) }),
          'Saved; the new tag is in `ETag`.',
        ),
      },
    }),
    async (c) => {
      const { version, problems } = await saveDocument(c, deps, {
        text: await bodyText(c),
        comment: 'PUT /aperture/config',
      });
      return c.json({ version, problems }, 200);
    },
    { bodyMaxBytes: DOCUMENT_MAX_BYTES },
  );

  router.add(
    CHECK,
    createRoute({
      method: 'post',
      path: '/aperture/config:validate',
      summary: 'Check a document',
      request: { body: DocumentBody },
      responses: {
        200: json(z.object({ valid: z.boolean(), problems: z.array(ProblemItem) }), 'It could be saved.'),
      },
    }),
    async (c) => {
      const { principal, caller } = c.get('actor');
      const found = await deps.documents.validate(await bodyText(c), { principal, caller });
      const problems = found.problems.map(problemView);
      if (!found.ok) {
        throw new ApiError('document_refused', 'the document has problems', {
          members: { problems, test_failures: found.testFailures.map(snakeCase) },
        });
      }
      return c.json({ valid: true, problems }, 200);
    },
    { bodyMaxBytes: DOCUMENT_MAX_BYTES },
  );
}

function addPricing(router: ApiRouter, deps: ApiDependencies): void {
  /** The tag of the price list, which changes only with the release or the document. */
  let tagged: { readonly list: readonly PriceEntry[]; readonly etag: string } | null = null;
  const priceList = (): { readonly list: readonly PriceEntry[]; readonly etag: string } => {
    const list = deps.pricing();
    if (tagged?.list !== list) tagged = { list, etag: tagOf(JSON.stringify(list)) };
    return tagged;
  };

  router.add(
    PRICING,
    createRoute({
      method: 'get',
      path: '/aperture/pricing',
      summary: 'The price list',
      responses: {
        200: json(z.object({ models: z.array(Priced) }), 'Prices.'),
        304: { description: 'Unchanged.' },
      },
    }),
    (c) => {
      const { list, etag } = priceList();
      return untyped(conditional(c, etag, () => JSON.stringify({ models: list })));
    },
  );

  router.add(
    PRICING,
    createRoute({
      method: 'get',
      // A model's name may hold slashes, raw or escaped.
      path: '/aperture/pricing/{model{.+}}',
      summary: 'The prices of one model',
      request: { params: z.object({ model: z.string().max(300) }) },
      responses: { 200: json(Priced, 'Prices.'), 304: { description: 'Unchanged.' } },
    }),
    (c) => {
      const name = c.req.valid('param').model;
      const entry = priceList().list.find((candidate) => candidate.model === name);
      if (entry === undefined) throw new ApiError('not_found', 'no price is known for this model');
      const text = JSON.stringify(entry);
      return untyped(conditional(c, tagOf(text), text));
    },
  );
}

/** 200 with the tag, or 304 where `If-None-Match` names it (RFC 9110 section 13.1.2). */
function conditional(c: ApiContext, etag: string, body: string | (() => string)): Response {
  const given = c.req.header('if-none-match');
  const unchanged =
    given !== undefined &&
    given.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*');
  if (unchanged) return c.body(null, 304, { etag });
  return c.body(typeof body === 'string' ? body : body(), 200, { etag, 'content-type': 'application/json' });
}

function tagOf(text: string): string {
  return `"${Buffer.from(sha256(text)).toString('base64url').slice(0, 22)}"`;
}

/** The body as it is: HuJSON need not be JSON. */
async function bodyText(c: ApiContext): Promise<string> {
  const bytes = await c.req.arrayBuffer();
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError('invalid_request', 'the document is not UTF-8');
  }
}

function providers(deps: ApiDependencies, c: ApiContext): z.output<typeof ProviderSchema>[] {
  const { caller } = requireCaller(c);
  const models = new Map<string, string[]>();
  for (const model of deps.models(caller)) {
    const prefix = `${model.provider}/`;
    const list = models.get(model.provider) ?? [];
    list.push(model.id.startsWith(prefix) ? model.id.slice(prefix.length) : model.id);
    models.set(model.provider, list);
  }
  const usable = (provider: ProviderView): boolean => !provider.disabled && models.has(provider.id);
  return [...deps.policy.current().providers.values()].filter(usable).map((provider) => ({
    id: provider.id,
    name: provider.name,
    description: provider.description,
    models: models.get(provider.id) ?? [],
    compatibility: Object.fromEntries([...provider.formats].map((format) => [format, true])),
  }));
}
