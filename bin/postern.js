#!/usr/bin/env node
// The command `postern`: installs what is missing, then runs the command line on the pinned Node.js.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, ensurePackages, findNode, runInPlace } from './launch.js';

ensurePackages('run');
const built = join(ROOT, 'dist', 'cli', 'main.js');
const source = join(ROOT, 'src', 'cli', 'main.ts');
const entry = existsSync(source) ? source : built;
runInPlace(findNode(), ['--disable-warning=ExperimentalWarning', entry, ...process.argv.slice(2)]);
