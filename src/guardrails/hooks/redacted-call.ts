/**
 * A call as a hook sees it that may not have redacted values, and what such a hook wrote with the values
 * back in it. In JSON each string is a text of its own; what stands between the strings stays.
 */
import type { JsonValue } from '../../wire/hujson.ts';
import type { BoundHook, HookRedaction, HookToolCall, HookToolRequest } from './shapes.ts';

/** Null where the hook gets the call as it is. */
export function redactionFor({ entry }: BoundHook, { redaction }: HookToolRequest): HookRedaction | null {
  return entry.values === 'original' ? null : (redaction ?? null);
}

/** The same call where nothing of it is redacted. */
export function concealCall(call: HookToolCall, { conceal }: HookRedaction): HookToolCall {
  const argumentsText = inTexts(call.argumentsText, call.params === undefined, conceal);
  if (argumentsText === null || argumentsText === call.argumentsText) return call;
  return { ...call, argumentsText, params: call.params === undefined ? undefined : parsed(argumentsText) };
}

/** Null where a guardrail refuses what the hook wrote. */
export function restoreArguments(
  argumentsText: string,
  isText: boolean,
  { restore }: HookRedaction,
): string | null {
  return inTexts(argumentsText, isText, restore);
}

function inTexts(text: string, isText: boolean, change: (text: string) => string | null): string | null {
  if (isText) return change(text);
  let isChanged = false;
  let isRefused = false;
  const value: unknown = JSON.parse(text, (_key, member: unknown) => {
    if (typeof member !== 'string' || isRefused) return member;
    const now = change(member);
    if (now === null) isRefused = true;
    if (now === null || now === member) return member;
    isChanged = true;
    return now;
  });
  if (isRefused) return null;
  return isChanged ? JSON.stringify(value) : text;
}

function parsed(text: string): JsonValue {
  const value: JsonValue = JSON.parse(text);
  return value;
}
