/**
 * Every regular file under a folder. Symbolic links are never followed: what they point to within
 * the folder is visited under its own name, and what lies elsewhere was not asked for.
 */
import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { SkipReason } from './shapes.ts';

export type WalkStep =
  | { readonly type: 'file'; readonly path: string }
  /** A folder or file named `.git`. */
  | { readonly type: 'git'; readonly path: string }
  | { readonly type: 'skipped'; readonly path: string; readonly reason: SkipReason };

export interface WalkOptions {
  readonly nodeModules: boolean;
  readonly depthMax: number;
}

/** `root` is a folder, absolute and without symbolic links. In the order of names; never throws. */
export function* walkFolder(root: string, options: WalkOptions): Generator<WalkStep> {
  const waiting: { readonly path: string; readonly depth: number }[] = [{ path: root, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path: folder, depth } = next;
    const entries = readFolder(folder);
    if (entries === null) {
      yield { type: 'skipped', path: folder, reason: 'not readable' };
      continue;
    }
    const folders: string[] = [];
    for (const entry of entries) {
      const path = join(folder, entry.name);
      const kind = kindOf(entry, path);
      if (kind === 'link') yield { type: 'skipped', path, reason: 'symbolic link' };
      else if (entry.name === '.git') yield { type: 'git', path };
      else if (kind === 'file') yield { type: 'file', path };
      else if (kind !== 'folder') yield { type: 'skipped', path, reason: 'not a regular file' };
      else if (entry.name === 'node_modules' && !options.nodeModules)
        yield { type: 'skipped', path, reason: 'node_modules' };
      else if (depth >= options.depthMax) yield { type: 'skipped', path, reason: 'too deep' };
      else folders.push(path);
    }
    for (const path of folders.toReversed()) waiting.push({ path, depth: depth + 1 });
  }
}

function readFolder(path: string): readonly Dirent[] | null {
  try {
    return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return null;
  }
}

/** Some file systems do not say the kind in the listing. */
function kindOf(entry: Dirent, path: string): 'file' | 'folder' | 'link' | 'other' {
  if (entry.isSymbolicLink()) return 'link';
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  try {
    const stat = lstatSync(path);
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : stat.isSymbolicLink() ? 'link' : 'other';
  } catch {
    return 'other';
  }
}
