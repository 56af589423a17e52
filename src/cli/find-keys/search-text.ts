/** Keys in one text: what the formats find, told apart by the setting's name that stands before them. */
import { Secret } from '../../base/secret.ts';
import { findKeys, type FoundKey, type KeyConfidence } from '../../llm/key-formats.ts';
import { serviceOfSetting } from './services.ts';
import type { ClientId } from './shapes.ts';

export interface TextFinding {
  readonly service: string;
  readonly kind: string;
  readonly confidence: KeyConfidence;
  readonly secret: Secret;
  readonly setting: string | null;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

export interface SearchTextOptions {
  readonly client: ClientId | null;
  /** Also what is no provider's key: private keys, JSON web tokens, and values behind a secret's name. */
  readonly all: boolean;
}

/** Characters before a key in which its setting's name is looked for. */
const NAME_WINDOW = 160;
const NAME_BEFORE =
  /(?:^|[\s"'`{,;:/[(])(?:set[ \t]{1,4}(?:-\w{1,8}[ \t]{1,4}){0,3})?(?!Bearer[ \t])([A-Za-z_][\w.-]{0,63})["'`]?[ \t]{0,8}(?:=>|:=|[:=]|[ \t])[ \t]{0,8}["'`]?(?:Bearer[ \t]{1,4}["'`]?)?$/;
/** Findings that say nothing of providers; listed on request. */
const NOT_PROVIDERS: ReadonlySet<string> = new Set(['generic', 'jwt', 'pem', 'age']);
/** Values that stand for a key in documentation and after adoption. */
const EXAMPLE =
  /(?:x{6,}|\.{3}|<[^>]{1,40}>|your[_-]?(?:api[_-]?)?key|(?:^|[-_])(?:example|placeholder|changeme|redacted|dummy)(?:$|[-_]))/i;
/** AWS writes its documentation with keys that end like this. */
const AWS_EXAMPLE = /^A[A-Z]{3}[A-Z0-9]{1,12}EXAMPLE$/;
/** `self.settings.api_key`: a program's name for a value, behind a name that promises one. */
const EXPRESSION = /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+$/;
/** Different characters of the last 16; a key with fewer was typed by hand. */
const VARIETY_MIN = 5;
const VARIETY_WINDOW = 16;
/** A key that clients keep under a name of their own, where no format tells: `"key": "…"`. */
const KEPT_KEY = /"(?:key|apiKey|api_key|token)"[ \t]{0,8}:[ \t]{0,8}"([\w+/.=~-]{20,512})"/g;
/** OpenCode's file names the provider above the key. */
const OWNER_WINDOW = 400;

/** Every key of a text, in order. Total and linear in the text. */
export function searchText(text: string, options: SearchTextOptions): readonly TextFinding[] {
  const found = [
    ...findKeys(text),
    ...(options.client === 'opencode' || options.client === 'llm' ? keptKeys(text) : []),
  ];
  if (found.length === 0) return [];
  found.sort((a, b) => a.start - b.start);
  const lines = new LineIndex(text);
  const findings: TextFinding[] = [];
  let done = 0;
  for (const key of found) {
    if (key.start < done) continue;
    const value = text.slice(key.start, key.end);
    if (isNoKey(key, value)) continue;
    const setting = settingBefore(text, key.start);
    const service = serviceOf(key, setting);
    if (NOT_PROVIDERS.has(service) && !options.all) continue;
    done = key.end;
    findings.push({
      service,
      kind: key.kind,
      confidence: key.confidence,
      secret: new Secret(value),
      setting,
      ...lines.at(key.start),
    });
  }
  return findings;
}

/** Stands for a key in documentation, tests and programs. */
function isNoKey(key: FoundKey, value: string): boolean {
  if (EXAMPLE.test(value) || AWS_EXAMPLE.test(value)) return true;
  if (key.confidence === 'heuristic' && EXPRESSION.test(value)) return true;
  return new Set(value.slice(-VARIETY_WINDOW)).size < VARIETY_MIN;
}

/** A format that several services share, or none, is told by the setting's name. */
function serviceOf(key: FoundKey, setting: string | null): string {
  if (key.service !== 'generic' && key.service !== 'openai_compatible') return key.service;
  return (setting === null ? null : serviceOfSetting(setting)?.id) ?? key.service;
}

function settingBefore(text: string, at: number): string | null {
  const from = Math.max(0, at - NAME_WINDOW);
  const before = text.slice(from, at);
  const line = before.slice(before.lastIndexOf('\n') + 1);
  return NAME_BEFORE.exec(line)?.[1] ?? null;
}

function keptKeys(text: string): FoundKey[] {
  return [...text.matchAll(KEPT_KEY)].map((match) => {
    const value = match[1] ?? '';
    const end = match.index + match[0].length - 1;
    const start = end - value.length;
    const owners = [
      ...text
        .slice(Math.max(0, start - OWNER_WINDOW), start)
        .matchAll(/"([a-z][\w-]{1,30})"[ \t]{0,4}:[ \t]{0,4}\{/g),
    ];
    const owner = owners.at(-1)?.[1] ?? null;
    return { start, end, service: owner ?? 'generic', kind: 'client_key', confidence: 'heuristic' };
  });
}

/** Offsets to lines, by the starts of lines. */
class LineIndex {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#starts.push(at + 1);
  }

  at(offset: number): { readonly line: number; readonly column: number } {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 };
  }
}
