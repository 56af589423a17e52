/** What a refused or failed call of the API says (RFC 9457), as an error of this console. */

export interface ApiProblemFacts {
  /** HTTP status; 0 where the server did not answer. */
  readonly status: number;
  /** One of docs/reference/errors.md; `unreachable` where the server did not answer. */
  readonly code: string;
  readonly title: string;
  /** What was wrong and what would mend it, in the server's words. */
  readonly detail: string;
  /** For the operator, who finds it in the log; null where the server did not answer. */
  readonly requestId: string | null;
  /** With `presence_required`: the page where presence is shown. */
  readonly presenceUrl: string | null;
  /** Further members, such as `errors` or `problems`. From the server, but unchecked. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** A refusal or failure of the API. Its message is `detail` as a sentence. */
export class ApiProblem extends Error implements ApiProblemFacts {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly requestId: string | null;
  readonly presenceUrl: string | null;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(facts: ApiProblemFacts) {
    super(sentence(facts.detail));
    this.name = 'ApiProblem';
    this.status = facts.status;
    this.code = facts.code;
    this.title = facts.title;
    this.detail = facts.detail;
    this.requestId = facts.requestId;
    this.presenceUrl = facts.presenceUrl;
    this.members = facts.members;
  }
}

/** The problem of an answer that is no success. Never throws: what is no problem document becomes one. */
export async function problemOf(answer: Response): Promise<ApiProblem> {
  const members = record(await answer.json().catch(() => null));
  const text = (name: string): string | null => {
    const value = members[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  return new ApiProblem({
    status: answer.status,
    code: text('code') ?? 'unknown',
    title: text('title') ?? 'Error',
    detail: text('detail') ?? `the server answered ${answer.status} without saying why`,
    requestId: text('request_id') ?? answer.headers.get('x-postern-request-id'),
    presenceUrl: text('presence_url'),
    members,
  });
}

/** The problem of a call that got no answer. */
export function unreachable(): ApiProblem {
  return new ApiProblem({
    status: 0,
    code: 'unreachable',
    title: 'No answer',
    detail: 'the server does not answer: is it running, and is this device connected?',
    requestId: null,
    presenceUrl: null,
    members: {},
  });
}

/** Whether a failure is this refusal. */
export function isProblem(error: unknown, code: string): error is ApiProblem {
  return error instanceof ApiProblem && error.code === code;
}

/** A failure of any kind, in words for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : 'Something unknown failed.';
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

/** The server writes its messages in lower case, without a stop. */
function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}
