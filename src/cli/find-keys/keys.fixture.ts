/** Keys for tests, made here so that no text of the project looks like one. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const SIGNS = 'abcdefghijkmnpqrstuvwABCDEFGHJKLMNPQRSTUVW0123456789';

/** `length` letters and digits that differ by `seed`. */
export function signs(length: number, seed: number): string {
  let state = (seed + 1) * 2_654_435_761;
  let text = '';
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += SIGNS.charAt((state >>> 8) % SIGNS.length);
  }
  return text;
}

/** `sk-ant-` of its parts. */
function prefix(...parts: readonly string[]): string {
  return `${parts.join('-')}-`;
}

export function anthropicKey(seed = 1): string {
  return `${prefix('sk', 'ant', 'api03')}${signs(80, seed)}`;
}

export function openAiKey(seed = 1): string {
  return `${prefix('sk', 'proj')}${signs(60, seed)}`;
}

export function googleKey(seed = 1): string {
  return ['AI', 'za', signs(35, seed)].join('');
}

export function groqKey(seed = 1): string {
  return ['gsk', signs(52, seed)].join('_');
}

export function gitLabKey(seed = 1): string {
  return `${prefix('glpat')}${signs(20, seed)}`;
}

export function npmToken(seed = 1): string {
  return ['npm', signs(36, seed)].join('_');
}

/** RFC 7468. */
export function privateKeyBlock(seed = 1): string {
  const dashes = '-'.repeat(5);
  return `${dashes}BEGIN PRIVATE KEY${dashes}\n${signs(64, seed)}\n${dashes}END PRIVATE KEY${dashes}\n`;
}

/** Without a shape: known only by the name before it. */
export function mistralKey(seed = 1): string {
  return signs(32, seed);
}

/** A folder of its own, removed at the end of the test. */
export interface TestFolder {
  readonly path: string;
  /** Writes a file; returns its path. */
  write(name: string, content: string | Uint8Array, mode?: number): string;
  remove(): void;
}

export function testFolder(): TestFolder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'postern-find-keys-')));
  return {
    path,
    write(name, content, mode = 0o600) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content, { mode });
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Every run of 9 characters of a key beyond the 6 that may be shown: none may appear anywhere. */
export function leaksOf(key: string, text: string): readonly string[] {
  const leaks: string[] = [];
  for (let at = 0; at + 9 <= key.length; at += 1) {
    const part = key.slice(at, at + 9);
    if (text.includes(part)) leaks.push(part);
  }
  return leaks;
}
