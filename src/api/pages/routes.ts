/** The claim page and the presence page, with their script and style. */
import { createRoute, z } from '@hono/zod-openapi';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import { newSecret } from '../presence/sessions.ts';
import { type ApiRouter, untyped } from '../router.ts';
import { CLAIM, type Page, PRESENCE, renderPage } from './markup.ts';
import { browserScripts } from './scripts.ts';
import { STYLE } from './style.ts';

const KNOWN = { role: 'known', presence: false, scope: null } as const;
const html = { 200: { description: 'A page.', content: { 'text/html': { schema: z.string() } } } };

export function addPageRoutes(router: ApiRouter, deps: ApiDependencies): void {
  addPage(router, deps, '/claim', CLAIM);
  addPage(router, deps, '/presence', PRESENCE);

  let scripts: ReadonlyMap<string, string> | null = null;
  router.add(
    KNOWN,
    createRoute({
      method: 'get',
      path: '/plain/{name}',
      summary: 'Script and style of the pages',
      hide: true,
      request: { params: z.object({ name: z.string().max(40) }) },
      responses: { 200: { description: 'A file.' } },
    }),
    (c) => {
      const { name } = c.req.valid('param');
      if (name === 'style.css') return c.body(STYLE, 200, { 'content-type': 'text/css; charset=utf-8' });
      scripts ??= browserScripts();
      const script = scripts.get(name);
      if (script === undefined) throw new ApiError('not_found', 'no such file');
      return c.body(script, 200, { 'content-type': 'text/javascript; charset=utf-8' });
    },
  );
}

function addPage(router: ApiRouter, deps: ApiDependencies, path: string, page: Page): void {
  router.add(
    KNOWN,
    createRoute({ method: 'get', path, summary: page.title, hide: true, responses: html }),
    (c) => {
      const nonce = newSecret(deps.random).reveal();
      return untyped(
        c.body(renderPage(page, nonce), 200, {
          'content-type': 'text/html; charset=utf-8',
          'content-security-policy': contentPolicy(nonce),
        }),
      );
    },
  );
}

/**
 * Only this page's own script and style run, named by a nonce: on this machine proxied answers
 * share the origin, so that `'self'` would admit what strangers' servers wrote.
 */
function contentPolicy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}
