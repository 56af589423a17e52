/**
 * The browser's scripts as text. Functions are written, checked and linted like all code; their
 * source (without types, as it runs here) is what is sent, so that no build and no file is needed.
 */
import * as approvalCards from './browser/approval-cards.ts';
import * as approvalDecisions from './browser/approval-decisions.ts';
import * as approvalLists from './browser/approval-lists.ts';
import * as approvalTexts from './browser/approval-texts.ts';
import * as approvals from './browser/approvals.ts';
import * as home from './browser/home.ts';
import * as passkeys from './browser/passkeys.ts';
import * as presence from './browser/presence.ts';
import * as shared from './browser/shared.ts';

/** Path below /assets/ to the text of the script. */
export function browserScripts(): ReadonlyMap<string, string> {
  const deciding = [shared, passkeys, approvalTexts, approvalDecisions, approvalCards, approvalLists];
  return new Map([
    ['approvals.js', scriptOf([...deciding, approvals], approvals.startApprovals)],
    ['home.js', scriptOf([...deciding, home], home.startHome)],
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
