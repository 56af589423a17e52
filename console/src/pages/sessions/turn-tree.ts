/** The conversation as a tree: which thread a turn belongs to, and how deep it stands. */
import type { Turn } from './use-turns.ts';

export interface Place {
  /** Number of the turn that it goes on from; null where it begins anew. */
  readonly parentNumber: number | null;
  /** It does not go on from the end of the turn before: a fork, a sub-agent or a retry. */
  readonly isBranch: boolean;
  /** It takes over only the first messages of its parent. */
  readonly isFork: boolean;
  /** 0 for the main thread; others stand to the right of what they left. */
  readonly depth: number;
}

/** Deeper is drawn as this deep. */
const DEPTH_MAX = 4;

/** By request id. */
export function placesOf(turns: readonly Turn[]): ReadonlyMap<string, Place> {
  const numbers = new Map(turns.map(({ request, number }) => [request.id, number]));
  const places = new Map<string, Place>();
  const lengths = new Map<string, number>();
  const continued = new Set<string>();
  let before: string | null = null;
  for (const { request, parent, content, shared_messages: shared, messages } of turns) {
    const parentPlace = parent === null ? undefined : places.get(parent);
    lengths.set(request.id, shared + messages.length);
    // What leaves out the last of its parent's messages said something else in their place.
    const isFork = parent !== null && shared < (lengths.get(parent) ?? 0);
    const isFirstChild = parent !== null && !isFork && !continued.has(parent);
    if (parent !== null && !isFork) continued.add(parent);
    const startsAnew = parent === null && content === 'kept' && before !== null;
    const depth =
      parentPlace === undefined ? (startsAnew ? 1 : 0) : parentPlace.depth + (isFirstChild ? 0 : 1);
    places.set(request.id, {
      parentNumber: parent === null ? null : (numbers.get(parent) ?? null),
      isBranch: startsAnew || isFork || (parent !== null && parent !== before),
      isFork,
      depth: Math.min(DEPTH_MAX, depth),
    });
    before = request.id;
  }
  return places;
}

/** Names of tools by the id of their call, for results that do not say them. */
export function toolNamesOf(turns: readonly Turn[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { messages, answer } of turns)
    for (const block of [...messages.flatMap(({ blocks }) => blocks), ...(answer?.blocks ?? [])])
      if (block.type === 'tool_call' && block.call_id !== null && block.name !== null)
        names.set(block.call_id, block.name);
  return names;
}
