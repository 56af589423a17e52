/** Which hooks an event has, and in what order. */
import type { HookEntry, HookUse } from '../../policy/document.ts';
import type { BoundHook, HookEvent } from './shapes.ts';

/**
 * The hooks of an event, those preferred more first, ties by name; switched-off ones left out.
 * `missing` are names that the document does not define: where one has to answer, that is a failure
 * under which nothing may pass.
 */
export function bindHooks(
  uses: readonly HookUse[],
  hooks: ReadonlyMap<string, HookEntry>,
  event: HookEvent,
): { readonly bound: readonly BoundHook[]; readonly missing: readonly string[] } {
  const bound: BoundHook[] = [];
  const missing: string[] = [];
  for (const use of uses) {
    if (!use.events.includes(event)) continue;
    const entry = hooks.get(use.name);
    if (entry === undefined) missing.push(use.name);
    else if (!entry.disabled) bound.push({ entry, use });
  }
  bound.sort((a, b) => b.entry.preference - a.entry.preference || byName(a.entry.id, b.entry.id));
  return { bound, missing };
}

function byName(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
