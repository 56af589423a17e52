/** Refused turns in memory, by caller, the oldest dropped first. Kept entries are at most some 8 MiB per 128 full ones. */
import type { RefusalLedger, RefusedItem, RefusedTurn } from './refused-turn.ts';

export interface RefusalMemoryOptions {
  /** Turns kept of one caller. Default 256: a session with more refusals has long gone on from the first. */
  readonly turnsPerOwnerMax?: number;
  /** Callers of whom turns are kept; the one who was refused longest ago is dropped. Default 4,096. */
  readonly ownersMax?: number;
  /** Bytes of all calls together, after which the oldest callers are dropped. Default 64 MiB. */
  readonly bytesMax?: number;
}

/** The turns of all callers. */
export interface RefusalMemory {
  /** The turns of one caller, as they are now and change. */
  of(owner: string): RefusalLedger;
  add(owner: string, turn: RefusedTurn): void;
  /** The refused calls of a conversation have their results at the provider: the request that brought them succeeded. */
  answered(owner: string, conversationId: string): void;
}

const EMPTY: readonly never[] = [];

export function createRefusalMemory(options: RefusalMemoryOptions = {}): RefusalMemory {
  const turnsMax = options.turnsPerOwnerMax ?? 256;
  const ownersMax = options.ownersMax ?? 4_096;
  const bytesMax = options.bytesMax ?? 64 << 20;
  const owners = new Map<string, OwnedTurns>();
  let bytes = 0;
  const dropOwner = (owner: string): void => {
    bytes -= owners.get(owner)?.bytes ?? 0;
    owners.delete(owner);
  };
  return {
    of: (owner) => ledgerOf(() => owners.get(owner) ?? null),
    add(owner, turn) {
      const owned = owners.get(owner) ?? new OwnedTurns();
      bytes -= owned.bytes;
      owned.add(turn, turnsMax);
      bytes += owned.bytes;
      // Set anew: a Map keeps the order of insertion, and this caller is the latest now.
      owners.delete(owner);
      owners.set(owner, owned);
      for (const oldest of owners.keys()) {
        if (owners.size <= ownersMax && (bytes <= bytesMax || owners.size === 1)) break;
        dropOwner(oldest);
      }
    },
    answered(owner, conversationId) {
      owners.get(owner)?.answered(conversationId);
    },
  };
}

/** The turns of one caller. */
class OwnedTurns {
  readonly turns: { readonly turn: RefusedTurn; isAnswered: boolean }[] = [];
  bytes = 0;

  add(turn: RefusedTurn, max: number): void {
    this.turns.push({ turn, isAnswered: false });
    this.bytes += bytesOf(turn);
    while (this.turns.length > max) {
      const dropped = this.turns.shift();
      if (dropped !== undefined) this.bytes -= bytesOf(dropped.turn);
    }
  }

  answered(conversationId: string): void {
    for (const entry of this.turns) if (entry.turn.conversationId === conversationId) entry.isAnswered = true;
  }

  calls(): RefusedItem[] {
    return this.turns.flatMap(({ turn }) => turn.calls);
  }
}

function bytesOf({ calls }: RefusedTurn): number {
  return calls.reduce(
    (sum, { item, text, markerId }) => sum + item.length + text.length + markerId.length,
    0,
  );
}

function ledgerOf(find: () => OwnedTurns | null): RefusalLedger {
  return {
    get isEmpty() {
      return find() === null;
    },
    byResponse: (id) => find()?.turns.findLast(({ turn }) => turn.responseId === id)?.turn ?? null,
    byConversation: (id) =>
      find()
        ?.turns.filter(({ turn, isAnswered }) => turn.conversationId === id && !isAnswered)
        .map(({ turn }) => turn) ?? EMPTY,
    byMarker: (id) =>
      find()
        ?.calls()
        .findLast(({ markerId }) => markerId === id) ?? null,
    byText: (text) =>
      find()
        ?.calls()
        .filter((call) => call.text === text) ?? EMPTY,
  };
}
