#!/usr/bin/env node
// The command `postern`: installs what is missing, then runs the command line on the pinned Node.js.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureConsole } from './console.js';
import { ROOT, ensurePackages, findNode, runInPlace } from './launch.js';

ensurePackages('run');
if (process.argv[2] === 'serve') ensureConsole();
const built = join(ROOT, 'dist', 'cli', 'main.js');
const source = join(ROOT, 'src', 'cli', 'main.ts');
const entry = existsSync(source) ? source : built;
// Rows wait up to 200 ms to be written. With 32 MiB for young objects they die there, at any load; with
// V8's 16 they would be moved to the old ones first, at more processor time. The room is taken only under load.
// V8's memory reducer would throw compiled code away in every pause between requests, which makes the next
// thousands of them dearer by half; src/composition/idle-memory.ts gives memory back with more patience.
// Bodies lie outside V8's heap. Counted apart from it, 16 MB of new ones start a full collection, which under
// 400 KB bodies is one every 40 requests; counted with it, they make it due as what is in the heap does.
const flags = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=32',
  '--no-memory-reducer',
  '--external-memory-accounted-in-global-limit',
];
runInPlace(findNode(), [...flags, entry, ...process.argv.slice(2)]);
