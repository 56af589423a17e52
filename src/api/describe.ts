/** The OpenAPI 3.1 document of a router, generated from its routes. */
import type { ApiRouter } from './router.ts';

/** Semantic version of the API: its paths carry the major one. */
const API_VERSION = '1.0.0';

/** The document of a router's routes. */
export function describeRouter(router: ApiRouter): Record<string, unknown> {
  const document = router.app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Postern',
      version: API_VERSION,
      description:
        'Administration and use of a Postern gateway. Identity comes from the network or from a Postern token, never from a field of the request. ' +
        'Lists are `{items, next_cursor}`; money is integer nano-dollars; times are RFC 3339 UTC; errors are RFC 9457 with a `code`.',
      license: { name: 'Apache-2.0' },
    },
  });
  return { ...document, paths: plainPaths(document.paths ?? {}) };
}

/** The part that Aperture's own clients know. */
export function apertureDocument(document: Record<string, unknown>): Record<string, unknown> {
  const { paths } = document;
  if (typeof paths !== 'object' || paths === null) return document;
  return {
    ...document,
    paths: Object.fromEntries(Object.entries(paths).filter(([path]) => path.startsWith('/aperture/'))),
  };
}

/** Without the router's own patterns: `{model{.+}}` is `{model}`. */
function plainPaths(paths: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(paths).map(([path, item]) => [path.replaceAll(/\{(\w+)\{[^}]*\}\}/g, '{$1}'), item]),
  );
}
