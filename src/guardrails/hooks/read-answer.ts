/**
 * What a hook said, read strictly. Aperture takes a body that is no object for `allow`; here whatever
 * is not exactly an answer of the protocol is a failure, and the hook's fail policy decides.
 * Unknown members are ignored, as there.
 */
import { isUtf8 } from 'node:buffer';
import { AppError } from '../../base/errors.ts';
import type { SmallAnswer } from '../../net/index.ts';
import { JsonScanError, type JsonMember, scanJsonDocument } from '../../wire/json-scan.ts';
import { hookError, type HookFault } from './errors.ts';

export type RequestAnswer =
  | { readonly action: 'allow' }
  | { readonly action: 'block'; readonly status: number; readonly message: string | null }
  /** The bytes of the JSON object, as the hook wrote them. */
  | { readonly action: 'modify'; readonly body: Buffer }
  /** Only after a delta: the hook has lost what it had seen, and wants everything. */
  | { readonly action: 'resend' };

export type ToolAnswer =
  | { readonly action: 'allow' }
  | { readonly action: 'deny' | 'ask'; readonly message: string | null }
  | { readonly action: 'rewrite'; readonly argumentsText: string };

/** Characters of a hook's message that are passed on. */
const MESSAGE_MAX = 1_000;
const BLOCK_STATUS = 403;

type Read<Answer> = Answer | AppError<HookFault>;

/** What the call was, as far as it bounds the answer. */
export interface AskedWith {
  /** A delta was sent, for the first time. */
  readonly mayResend: boolean;
  /** The request is JSON and no form. */
  readonly isJson: boolean;
}

/** Reads the answer to `pre_request`. Total. */
export function readRequestAnswer(
  answer: SmallAnswer,
  { mayResend, isJson }: AskedWith,
): Read<RequestAnswer> {
  const members = readMembers(answer);
  if (members instanceof AppError) return members;
  const { body } = answer;
  switch (textOf(body, members, 'action') ?? '') {
    case 'allow':
      return { action: 'allow' };
    case 'block':
      return {
        action: 'block',
        status: statusOf(body, members),
        message: messageOf(body, members),
      };
    case 'modify': {
      const changed = find(members, 'request_body');
      if (changed === undefined) return malformed('says "modify" without a "request_body"');
      if (body[changed.valueStart] !== OPEN_BRACE)
        return malformed('says "modify" with a "request_body" that is no object');
      if (!isJson) return malformed('replaces a form by JSON');
      return { action: 'modify', body: Buffer.from(body.subarray(changed.valueStart, changed.valueEnd)) };
    }
    case 'resend':
      return mayResend ? { action: 'resend' } : malformed('says "resend" to a call that held everything');
    default:
      return malformed('has no "action" of allow, block or modify');
  }
}

/** Reads the answer to `tool_call`. `isText`: the call's arguments are free text, not JSON. Total. */
export function readToolAnswer(answer: SmallAnswer, isText: boolean): Read<ToolAnswer> {
  const members = readMembers(answer);
  if (members instanceof AppError) return members;
  const { body } = answer;
  const action = textOf(body, members, 'action') ?? '';
  switch (action) {
    case 'allow':
      return { action };
    // Aperture's word for it: whoever means "no" must not be taken for a mistake that lets it pass.
    case 'block':
    case 'deny':
      return { action: 'deny', message: messageOf(body, members) };
    case 'ask':
      return { action, message: messageOf(body, members) };
    case 'rewrite': {
      const params = find(members, 'params');
      if (params === undefined) return malformed('says "rewrite" without "params"');
      if (isText) {
        const text = textOf(body, members, 'params');
        return text === null
          ? malformed('says "rewrite" with "params" that are no string, as the call has')
          : { action, argumentsText: text };
      }
      if (body[params.valueStart] !== OPEN_BRACE)
        return malformed('says "rewrite" with "params" that are no object');
      return { action, argumentsText: body.toString('utf8', params.valueStart, params.valueEnd) };
    }
    default:
      return malformed('has no "action" of allow, deny, rewrite or ask');
  }
}

const OPEN_BRACE = 0x7b;

/** The members of an answer with status 2xx that is one JSON object with distinct keys. */
function readMembers({ status, headers, body }: SmallAnswer): readonly JsonMember[] | AppError<HookFault> {
  if (status < 200 || status > 299) return hookError('hook_status', `the hook answered ${status}`);
  if (!isJsonType(headers.get('content-type'))) return malformed('is of a type that is not JSON');
  const encoding = headers.get('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    return malformed('is compressed, which was not asked for');
  if (!isUtf8(body)) return malformed('is not UTF-8');
  try {
    const members = scanJsonDocument(body);
    const isRepeated = members.length !== new Set(members.map(({ key }) => key)).size;
    return isRepeated ? malformed('repeats a member') : members;
  } catch (error) {
    if (!(error instanceof JsonScanError)) throw error;
    return malformed('is not one JSON object');
  }
}

/** Absent is taken for JSON, and so is `text/plain`: servers write it where a program says nothing. */
function isJsonType(type: string | undefined): boolean {
  if (type === undefined) return true;
  const [media = ''] = type.split(';');
  return /^(?:application\/(?:[\w.+-]+\+)?json|text\/plain)$/i.test(media.trim());
}

function find(members: readonly JsonMember[], key: string): JsonMember | undefined {
  return members.find((member) => member.key === key);
}

function valueOf(body: Buffer, members: readonly JsonMember[], key: string): unknown {
  const member = find(members, key);
  return member === undefined
    ? undefined
    : JSON.parse(body.toString('utf8', member.valueStart, member.valueEnd));
}

function textOf(body: Buffer, members: readonly JsonMember[], key: string): string | null {
  const member = find(members, key);
  if (member === undefined || body[member.valueStart] !== 0x22) return null;
  return String(valueOf(body, members, key));
}

/** A status that cannot refuse does not weaken the block. */
function statusOf(body: Buffer, members: readonly JsonMember[]): number {
  const member = find(members, 'status_code');
  if (member === undefined || member.valueEnd - member.valueStart > 8) return BLOCK_STATUS;
  const status = Number(body.toString('latin1', member.valueStart, member.valueEnd));
  return Number.isInteger(status) && status >= 400 && status <= 599 ? status : BLOCK_STATUS;
}

/** On one line, cut; null where there is none, or nothing to read in it. */
function messageOf(body: Buffer, members: readonly JsonMember[]): string | null {
  const text = textOf(body, members, 'message');
  if (text === null) return null;
  const line = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  if (line === '') return null;
  return line.length > MESSAGE_MAX ? `${line.slice(0, MESSAGE_MAX - 1).toWellFormed()}…` : line;
}

function malformed(what: string): AppError<HookFault> {
  return hookError('hook_answer_malformed', `the hook's answer ${what}`);
}
