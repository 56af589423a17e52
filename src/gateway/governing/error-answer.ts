/**
 * An answer with an error status under guardrails: providers repeat parts of a request in what they say of it,
 * and may say anything else. Read whole, within a bound; its strings pass the same filters as an answer's text.
 */
import type { AnswerGuard } from '../../guardrails/index.ts';
import type { JsonValue } from '../../wire/hujson.ts';
import { Refused } from '../reasons.ts';
import type { Inspection } from './inspection.ts';

/** 256 KiB: above every error that a provider writes; what is longer is not passed on. */
const ERROR_MAX_BYTES = 256 * 1024;
/** Nesting that is followed. */
const DEPTH_MAX = 64;
const EMPTY = Buffer.alloc(0);

export class ErrorAnswer implements Inspection {
  readonly isWhole = true;
  readonly held = null;
  readonly refused = [];
  readonly #guard: AnswerGuard;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #body: Buffer = EMPTY;
  #fault: string | null = null;

  /** `isPlain`: not compressed. */
  constructor(guard: AnswerGuard, isPlain: boolean) {
    this.#guard = guard;
    if (!isPlain) this.#fault = 'it is compressed';
  }

  get stop(): Refused | null {
    const { blocked } = this.#guard;
    if (blocked !== null)
      return new Refused('content_blocked', blocked.message, { rule: `guardrails.${blocked.guardrail}` });
    if (this.#fault === null) return null;
    return new Refused(
      'answer_not_governable',
      `the provider answered with an error that the guardrails which hold for you cannot check: ${this.#fault}`,
    );
  }

  push(chunk: Uint8Array): Buffer {
    this.#bytes += chunk.length;
    if (this.#bytes > ERROR_MAX_BYTES) {
      this.#chunks = [];
      this.#fault ??= `it has more than ${ERROR_MAX_BYTES} bytes`;
    } else if (chunk.length > 0) this.#chunks.push(Buffer.from(chunk));
    return EMPTY;
  }

  end(): void {
    if (this.#fault !== null) return;
    const body = Buffer.concat(this.#chunks);
    this.#chunks = [];
    const text = body.toString('utf8');
    const changed = this.#checked(text);
    this.#body = changed === text ? body : Buffer.from(changed);
  }

  finish(): Buffer {
    return this.#body;
  }

  keepAlive(): Buffer {
    return EMPTY;
  }

  /** Each string by itself where it is JSON; the whole where it is anything else (a page of a proxy). */
  #checked(text: string): string {
    let value: JsonValue;
    try {
      value = JSON.parse(text);
    } catch {
      return this.#filter(text);
    }
    let isChanged = false;
    const walk = (at: JsonValue, depth: number): JsonValue => {
      if (depth > DEPTH_MAX) {
        this.#fault = 'it is nested too deeply';
        return null;
      }
      if (typeof at === 'string') {
        const filtered = this.#filter(at);
        isChanged ||= filtered !== at;
        return filtered;
      }
      if (Array.isArray(at)) return at.map((item) => walk(item, depth + 1));
      if (typeof at !== 'object' || at === null) return at;
      return Object.fromEntries(
        Object.entries(at).map(([key, item]) => [this.#key(key), walk(item, depth + 1)]),
      );
    };
    const walked = walk(value, 0);
    return isChanged ? JSON.stringify(walked) : text;
  }

  /** Names of members are looked at and not changed. */
  #key(key: string): string {
    if (this.#filter(key) !== key) this.#fault = 'a name in it is what a guardrail changes';
    return key;
  }

  #filter(text: string): string {
    const filter = this.#guard.text('text');
    return filter === null ? text : filter.push(text) + filter.finish();
  }
}
