/** Finds texts of a session: by the name of an item, and by words. */
import type { ReadAnswer, ReadBlock } from '../../llm/conversation/index.ts';
import type { Turn } from './read-session.ts';

export interface FoundPlace {
  readonly item: string;
  readonly request_id: string;
  readonly number: number;
  readonly role: string;
  readonly type: string;
  readonly snippet: string;
  readonly at: number;
}

const PLACES_MAX = 200;
/** Characters around the words. */
const BEFORE_CHARS = 80;
const AFTER_CHARS = 160;

/** `req_…:m3.0` is the first block of the fourth message, `s.` the system's, `a.` the answer's. Null if there is none. */
export function findItem(
  item: string,
  turns: readonly Turn[],
  answers: ReadonlyMap<string, ReadAnswer>,
): ReadBlock | null {
  const [, requestId, kind, message, block] = /^(.+):([sma])(\d{0,6})\.(\d{1,6})$/.exec(item) ?? [];
  const turn = turns.find(({ row }) => row.id === requestId);
  if (turn === undefined || requestId === undefined) return null;
  const at = Number(block);
  if (kind === 'a') return answers.get(requestId)?.blocks[at] ?? null;
  if (kind === 's') return turn.request?.system[at] ?? null;
  return turn.request?.messages[Number(message)]?.blocks[at] ?? null;
}

/** Where the words stand, whatever their case; what a turn took over from another is searched there. */
export function searchTurns(
  words: string,
  turns: readonly Turn[],
  answers: ReadonlyMap<string, ReadAnswer>,
): FoundPlace[] {
  const wanted = words.toLowerCase();
  const found: FoundPlace[] = [];
  for (const [i, turn] of turns.entries()) {
    const look = (role: string, place: string, block: ReadBlock): void => {
      const at = block.text.toLowerCase().indexOf(wanted);
      if (at < 0 || found.length >= PLACES_MAX) return;
      const from = Math.max(0, at - BEFORE_CHARS);
      found.push({
        item: `${turn.row.id}:${place}`,
        request_id: turn.row.id,
        number: i + 1,
        role,
        type: block.type,
        snippet: block.text.slice(from, at + wanted.length + AFTER_CHARS),
        at: at - from,
      });
    };
    if (!turn.sameSystem) turn.request?.system.forEach((block, j) => look('system', `s.${j}`, block));
    turn.request?.messages.slice(turn.shared).forEach(({ role, blocks }, j) => {
      blocks.forEach((block, k) => look(role, `m${turn.shared + j}.${k}`, block));
    });
    answers.get(turn.row.id)?.blocks.forEach((block, j) => look('answer', `a.${j}`, block));
    if (found.length >= PLACES_MAX) break;
  }
  return found;
}
