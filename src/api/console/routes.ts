/**
 * Serves the console: one page for all its addresses, and its files. The page holds nothing of
 * anybody and is never kept; files are named by their content and kept for ever.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { describeError } from '../../base/errors.ts';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { newSecret } from '../presence/sessions.ts';
import { type ApiContext, type ApiRouter, untyped } from '../router.ts';
import { CONSOLE_PATHS } from './addresses.ts';
import { CODINGS, type Coding, type ConsoleAsset, type ConsoleBundle, loadConsole } from './bundle.ts';
import { MISSING_PAGE } from './missing-page.ts';

const KNOWN = { role: 'known', presence: false, scope: null } as const;
const html = { 200: { description: 'The console.', content: { 'text/html': { schema: z.string() } } } };

/** Adds the console of `deps.consoleDir`. Where it is not built, its addresses say so; nothing else is affected. */
export function addConsoleRoutes(router: ApiRouter, deps: ApiDependencies): void {
  const bundle = loadOrWarn(deps);
  for (const path of CONSOLE_PATHS)
    router.add(
      KNOWN,
      createRoute({ method: 'get', path, summary: 'The console', hide: true, responses: html }),
      (c) => untyped(sendPage(c, deps, bundle)),
    );
  router.add(
    KNOWN,
    createRoute({
      method: 'get',
      path: '/assets/{name}',
      summary: 'A file of the console',
      hide: true,
      request: { params: z.object({ name: z.string().max(200) }) },
      responses: { 200: { description: 'A file.' } },
    }),
    (c) => {
      const asset = bundle?.assets.get(c.req.valid('param').name);
      if (asset === undefined) throw new ApiError('not_found', 'no such file');
      return untyped(sendAsset(c, asset));
    },
  );
}

function loadOrWarn({ consoleDir, logger }: ApiDependencies): ConsoleBundle | null {
  if (consoleDir === undefined) return null;
  try {
    return loadConsole(consoleDir);
  } catch (error) {
    logger.warn('the console is not served', { folder: consoleDir, error: describeError(error) });
    return null;
  }
}

function sendPage(c: ApiContext, deps: ApiDependencies, bundle: ConsoleBundle | null): Response {
  const nonce = newSecret(deps.random).reveal();
  const text = bundle === null ? MISSING_PAGE : bundle.page.join(nonce);
  return c.body(text, bundle === null ? 503 : 200, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': contentPolicy(nonce),
    'cache-control': 'no-cache',
  });
}

/**
 * Only scripts and styles that this page names run: on this machine proxied answers share the origin,
 * so that `'self'` would admit what strangers' servers wrote. A script may load its own parts, which
 * inherit the nonce (HTML section 8.1.3.8, "descendant script fetch options").
 */
function contentPolicy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

function sendAsset(c: ApiContext, asset: ConsoleAsset): Response {
  const headers: Record<string, string> = {
    'cache-control': 'private, max-age=31536000, immutable',
    vary: 'accept-encoding',
    etag: asset.etag,
  };
  if (matchesEtag(c.req.header('if-none-match'), asset.etag)) return c.body(null, 304, headers);
  const coding = codingFor(c.req.header('accept-encoding'), asset);
  const body = coding === null ? asset.identity : (asset.coded.get(coding) ?? asset.identity);
  return c.body(body, 200, {
    ...headers,
    'content-type': asset.mediaType,
    ...(coding === null ? {} : { 'content-encoding': coding }),
  });
}

/** RFC 9110 section 13.1.2; weak and strong are compared alike. */
function matchesEtag(given: string | undefined, etag: string): boolean {
  return given !== undefined && given.split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}

/** The best coding that the client accepts (RFC 9110 section 12.5.3); without weights, which no browser sends. */
function codingFor(accepted: string | undefined, asset: ConsoleAsset): Coding | null {
  const offered = new Set(
    (accepted ?? '')
      .split(',')
      .filter((part) => !/;\s*q=0(?:\.0*)?\s*$/.test(part))
      .map((part) => part.split(';')[0]?.trim().toLowerCase()),
  );
  return CODINGS.find((coding) => asset.coded.has(coding) && offered.has(coding)) ?? null;
}
