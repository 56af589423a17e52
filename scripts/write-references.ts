/** Writes the generated pages of docs/reference/; `npm test` checks that they are current. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { references } from './references.ts';

const ROOT = resolve(import.meta.dirname, '..');

for (const { path, render } of references) {
  writeFileSync(join(ROOT, path), await render());
  process.stdout.write(`${path}\n`);
}
