/**
 * Guardrails on an answer, as filters of its texts (`llm/answer`): finds are counted, redacted or end the
 * answer, and placeholders of the request become the originals again. Values that are redacted in an
 * answer are not kept: nothing brings them back.
 */
import type { TextFilter, TextKind } from '../llm/answer/editor.ts';
import type { Direction, GuardrailEntry } from '../policy/governance.ts';
import { joinOverlaps, type CompiledEntries, type EntryDetection } from './compile-entries.ts';
import type { Blocked, Finding } from './finding.ts';
import { blockedBy } from './messages.ts';
import type { PlaceholderScope } from './placeholders.ts';
import { placeholderTail, restore } from './restore.ts';
import { SettledText } from './settled-text.ts';
import { Tally } from './tally.ts';

export interface AnswerGuardQuestion {
  /** Those that hold for the caller and model (`Governance.guardrails`). */
  readonly entries: readonly GuardrailEntry[];
  /** The caller (or caller and session) that the request was checked for. Never a label. */
  readonly scope: string;
}

/** The guard of one answer. */
export interface AnswerGuard {
  /** For `AnswerEdits.text`. */
  text(kind: TextKind): TextFilter | null;
  /**
   * Why the answer must end now. Ask after every push of the editor and after its end: where it is set,
   * drop what that push gave (it may be a call with emptied arguments) and end the answer with the
   * message. An answer that is edited whole must then not be sent at all.
   */
  readonly blocked: Blocked | null;
  findings(): readonly Finding[];
}

interface GuardParts {
  /** By direction; null where nothing looks. */
  readonly compiled: Readonly<Record<TextKind, CompiledEntries | null>>;
  /** Null where nothing of this caller is known that could be restored. */
  readonly restoring: PlaceholderScope | null;
  /** For placeholders of what is redacted here. */
  readonly scope: PlaceholderScope;
}

const DIRECTIONS: Readonly<Record<TextKind, Direction>> = {
  text: 'answer',
  tool_arguments: 'tool_arguments',
};

export class AnswerFilters implements AnswerGuard {
  readonly #parts: GuardParts;
  readonly #tally = new Tally();
  #blocked: Blocked | null = null;

  constructor(parts: GuardParts) {
    this.#parts = parts;
  }

  get blocked(): Blocked | null {
    return this.#blocked;
  }

  findings(): readonly Finding[] {
    return this.#tally.list();
  }

  text(kind: TextKind): TextFilter | null {
    const { restoring, scope } = this.#parts;
    const compiled = this.#parts.compiled[kind];
    if (compiled === null && restoring === null) return null;
    const rules = restoring === null ? [] : [(text: string) => placeholderTail(text, restoring)];
    const changes = compiled?.entries.some(({ action }) => action !== 'flag') ?? false;
    if (compiled !== null && !changes)
      return this.#flagging(kind, compiled, rules.length === 0 ? null : restoring);
    return this.#filter(new SettledText(compiled, rules), ({ text, found }) => {
      if (!this.#count(kind, found)) return '';
      return this.#write(text, found, scope);
    });
  }

  /** Nothing is changed but placeholders: the text flows on, and a copy is looked at. */
  #flagging(kind: TextKind, compiled: CompiledEntries, restoring: PlaceholderScope | null): TextFilter {
    const copy = new SettledText(compiled, []);
    const rules = restoring === null ? [] : [(text: string) => placeholderTail(text, restoring)];
    const flow = this.#filter(new SettledText(null, rules), ({ text }) =>
      restoring === null ? text : restore(text, restoring),
    );
    return {
      push: (text) => {
        this.#count(kind, copy.push(text).found);
        return flow.push(text);
      },
      finish: () => {
        this.#count(kind, copy.finish().found);
        return flow.finish();
      },
    };
  }

  #filter(
    settled: SettledText,
    write: (stretch: { readonly text: string; readonly found: readonly EntryDetection[] }) => string,
  ): TextFilter {
    return {
      push: (text) => (this.#blocked === null ? write(settled.push(text)) : ''),
      finish: () => (this.#blocked === null ? write(settled.finish()) : ''),
    };
  }

  /** Counts, and stops at the first find that blocks; false if the answer is blocked. */
  #count(kind: TextKind, found: readonly EntryDetection[]): boolean {
    const direction = DIRECTIONS[kind];
    for (const one of found) {
      this.#tally.add(one, { direction, role: null });
      if (one.entry.action === 'block') this.#blocked ??= blockedBy(one.entry, one.kind, 'the answer');
    }
    return this.#blocked === null;
  }

  #write(text: string, found: readonly EntryDetection[], scope: PlaceholderScope): string {
    const { restoring } = this.#parts;
    const flow = (plain: string): string => (restoring === null ? plain : restore(plain, restoring));
    let out = '';
    let at = 0;
    for (const { start, end, kind } of joinOverlaps(found.filter(({ entry }) => entry.action === 'redact'))) {
      out += flow(text.slice(at, start)) + scope.make(kind, text.slice(start, end));
      at = end;
    }
    return out + flow(text.slice(at));
  }
}
