/**
 * The browser's scripts as text. Functions are written, checked and linted like all code; their
 * source (without types, as it runs here) is what is sent, so that no build and no file is needed.
 */
import * as passkeys from './browser/passkeys.ts';
import * as presence from './browser/presence.ts';
import * as shared from './browser/shared.ts';

/** Path below /plain/ to the text of the script. */
export function browserScripts(): ReadonlyMap<string, string> {
  return new Map([
    ['claim.js', scriptOf([shared, passkeys, presence], presence.startClaim)],
    ['presence.js', scriptOf([shared, passkeys, presence], presence.startPresence)],
  ]);
}

function scriptOf(modules: readonly object[], start: () => void): string {
  const functions = modules
    .flatMap((module) => Object.values(module))
    .filter((value) => typeof value === 'function');
  return `'use strict';\n(() => {\n${functions.map(String).join('\n\n')}\n\n${start.name}();\n})();\n`;
}
