/** The generated pages of docs/reference/ say what the code says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { references } from '../scripts/references.ts';

const ROOT = resolve(import.meta.dirname, '..');

for (const { path, render } of references) {
  test(`${path} is current (npm run openapi writes it)`, async () => {
    assert.equal(readFileSync(join(ROOT, path), 'utf8'), await render());
  });
}
