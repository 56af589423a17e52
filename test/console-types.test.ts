/** The console's types of the API are those of the API as it is. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const ROOT = resolve(import.meta.dirname, '..');

test('console/src/api/schema.d.ts is made from docs/reference/openapi.json as it is (npm run openapi writes it)', () => {
  const document = readFileSync(join(ROOT, 'docs/reference/openapi.json'));
  const [first = ''] = readFileSync(join(ROOT, 'console/src/api/schema.d.ts'), 'utf8').split('\n', 1);
  assert.ok(first.endsWith(createHash('sha256').update(document).digest('hex')), first);
});
