/**
 * Refused calls over a restart: the provider still has them, so the turn after it must bring their results
 * all the same.
 */
import { sha256 } from '../../crypto/index.ts';
import type { RefusalMemory, RefusedTurn } from '../../llm/answer/index.ts';
import type { Keeping } from './keeping.ts';

/** What is kept of one refused turn. */
interface KeptTurn {
  readonly owner: string;
  readonly turn: RefusedTurn;
  /** The provider has the results. */
  readonly isAnswered: boolean;
}

/** Turns of conversations that wait for their results; beyond them the oldest is kept as unanswered. */
const UNANSWERED_MAX = 10_000;

/** The memory with what an earlier process kept, oldest first, and with what is added now kept for a later one. */
export function keepRefusals(
  memory: RefusalMemory,
  keeping: Keeping,
  earlier: readonly unknown[],
): RefusalMemory {
  /** By caller and conversation. */
  const unanswered = new Map<string, RefusedTurn[]>();
  const note = (owner: string, turn: RefusedTurn): void => {
    if (turn.conversationId === null) return;
    const key = keyOf(owner, turn.conversationId);
    unanswered.set(key, [...(unanswered.get(key) ?? []), turn]);
    const [oldest] = unanswered.keys();
    if (unanswered.size > UNANSWERED_MAX && oldest !== undefined) unanswered.delete(oldest);
  };
  for (const { owner, turn, isAnswered } of earlier.filter(isKeptTurn)) {
    memory.add(owner, turn);
    // It is written anew when it is answered, so all of its conversation before it was answered with it.
    if (!isAnswered) note(owner, turn);
    else if (turn.conversationId !== null) memory.answered(owner, turn.conversationId);
  }
  return {
    of: (owner) => memory.of(owner),
    add(owner, turn) {
      memory.add(owner, turn);
      note(owner, turn);
      keeping.put(nameOf(owner, turn), { owner, turn, isAnswered: false } satisfies KeptTurn);
    },
    answered(owner, conversationId) {
      memory.answered(owner, conversationId);
      const key = keyOf(owner, conversationId);
      for (const turn of unanswered.get(key) ?? [])
        keeping.put(nameOf(owner, turn), { owner, turn, isAnswered: true } satisfies KeptTurn);
      unanswered.delete(key);
    },
  };
}

function keyOf(owner: string, conversationId: string): string {
  return JSON.stringify([owner, conversationId]);
}

function nameOf(owner: string, turn: RefusedTurn): readonly string[] {
  return [owner, Buffer.from(sha256(Buffer.from(JSON.stringify(turn)))).toString('base64url')];
}

/** The seal says that this very code wrote it; an older version may have written another shape. */
function isKeptTurn(value: unknown): value is KeptTurn {
  if (typeof value !== 'object' || value === null) return false;
  const { owner, turn, isAnswered } = value as Partial<KeptTurn>;
  return (
    typeof owner === 'string' &&
    typeof isAnswered === 'boolean' &&
    typeof turn === 'object' &&
    turn !== null &&
    Array.isArray(turn.calls)
  );
}
