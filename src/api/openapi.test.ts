import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONSOLE_PATHS, PLAIN_PATHS } from './console/addresses.ts';
import { openApiDocument } from './openapi.ts';
import { caller, startTestApi } from './test-api.ts';

/** Operations as `METHOD path`, with what the document says of them. */
function operations(document: Record<string, unknown>): Map<string, Record<string, unknown>> {
  const found = new Map<string, Record<string, unknown>>();
  for (const [path, item] of Object.entries(Object(document['paths']))) {
    for (const [method, operation] of Object.entries(Object(item)))
      found.set(`${method} ${path}`, Object(operation));
  }
  return found;
}

test('the document names every route but the pages, once, with its access and the shape of its refusals', async () => {
  const t = await startTestApi();
  try {
    const documented = operations(openApiDocument());
    const routes = t.api.routes.map(
      (route) => `${route.method} ${route.path.replaceAll(/\{(\w+)\{[^}]*\}\}/g, '{$1}')}`,
    );
    assert.equal(new Set(routes).size, routes.length);
    const pages = [
      ...[...CONSOLE_PATHS, ...PLAIN_PATHS].map((path) => `get ${path}`),
      'get /assets/{name}',
      'get /plain/{name}',
    ];
    assert.deepEqual(
      [...documented.keys()].toSorted(),
      routes.filter((route) => !pages.includes(route)).toSorted(),
    );
    const ids = [...documented.values()].map((operation) => operation['operationId']);
    assert.equal(new Set(ids).size, ids.length);
    for (const [name, operation] of documented) {
      assert.ok('x-postern-access' in operation, name);
      assert.ok('default' in Object(operation['responses']), name);
      assert.ok(String(operation['summary']).length > 5, name);
    }
  } finally {
    await t.close();
  }
});

test('the served document is the generated one, and Aperture sees its part', async () => {
  const t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
  try {
    const served = await t.send(caller('local:1'), 'GET', '/api/v1/openapi.json');
    assert.deepEqual(served.json, JSON.parse(JSON.stringify(openApiDocument())));
    const part = await t.send(caller('local:1'), 'GET', '/aperture/openapi.json');
    assert.deepEqual([...operations(part.json).keys()].toSorted(), [
      'get /aperture/config',
      'get /aperture/openapi.json',
      'get /aperture/pricing',
      'get /aperture/pricing/{model}',
      'post /aperture/config:validate',
      'put /aperture/config',
    ]);
  } finally {
    await t.close();
  }
});
