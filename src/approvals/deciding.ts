/**
 * One vote on one approval: pure, so that every rule of who may decide what stands in one place.
 * The row that comes out replaces the one that went in only if that did not change meanwhile.
 */
import type { UnixMs } from '../base/clock.ts';
import type { ApprovalEntry } from '../policy/governance.ts';
import type { ApprovalRow, ApprovalScope, ApprovalTerms, ApprovalVote } from '../store/approval-shapes.ts';
import type { JsonValue } from '../wire/hujson.ts';
import type { Approver, Verdict } from './approval.ts';
import { approvalError } from './errors.ts';
import { isSamePerson, type PeopleBehind, peopleOf } from './people.ts';
import type { ApprovalOptions } from './ports.ts';

/** Characters of a reason that are kept. */
const REASON_MAX_CHARS = 1_000;

export type VotingRules = Pick<ApprovalOptions, 'mayApprove' | 'entryOf' | 'peopleBehind'> & {
  readonly sealEdit: (row: ApprovalRow, edited: JsonValue) => Uint8Array;
  readonly now: UnixMs;
};

/** What tells who may decide; an event has it too. */
export type DecidableBy = Pick<
  ApprovalRow,
  'tailnet' | 'principal' | 'label' | 'deviceId' | 'tokenId' | 'entry' | 'terms'
>;

/** Throws `AppError<ApprovalErrorCode>`; the row is left as it was. */
export function applyVote(
  row: ApprovalRow,
  approver: Approver,
  verdict: Verdict,
  rules: VotingRules,
): ApprovalRow {
  checkOpen(row, rules.now);
  const terms = termsNow(row, rules.entryOf(row.entry));
  checkApprover(row, terms, approver, rules);
  const vote = voteOf(row, terms, approver, verdict, rules);
  const changed = { ...row, revision: row.revision + 1 };
  if (verdict.verdict === 'deny')
    return {
      ...changed,
      state: 'denied',
      votes: [...row.votes, vote],
      decidedAt: rules.now,
      reason: vote.reason,
    };
  checkSeen(row, verdict.seenEdits ?? 0);
  const { edited } = verdict;
  if (edited === undefined && row.votes.some(({ people }) => isSamePerson(new Set(people), vote.people)))
    throw approvalError(
      'approval_conflict',
      `you have approved ${row.id} already; it waits for ${terms.quorum - row.votes.length} more`,
    );
  // Who approved something else has not approved this.
  const votes = edited === undefined ? [...row.votes, vote] : [vote];
  const voted: ApprovalRow = {
    ...changed,
    votes,
    ...(edited === undefined ? {} : { sealedEdit: rules.sealEdit(row, edited), edits: row.edits + 1 }),
  };
  return votes.length < terms.quorum ? voted : { ...voted, ...approvedUntil(votes, terms, rules.now) };
}

/** Whether the approver is one of those who may decide it, whatever its state. */
export function mayDecide(
  row: DecidableBy,
  approver: Approver,
  rules: Omit<VotingRules, 'sealEdit' | 'now'>,
): boolean {
  if (row.tailnet !== approver.tailnet) return false;
  const terms = termsNow(row, rules.entryOf(row.entry));
  return (
    (!isRequester(row, approver, rules.peopleBehind) || terms.selfApprove) &&
    isMeant(row, approver, terms, rules)
  );
}

function checkOpen(row: ApprovalRow, now: UnixMs): void {
  if (row.state === 'pending' && row.expiresAt > now) return;
  if (row.state === 'pending' || row.state === 'expired')
    throw approvalError(
      'approval_gone',
      `${row.id} expired before anybody decided; the caller must ask again`,
    );
  if (row.state === 'withdrawn')
    throw approvalError('approval_gone', `${row.id} was withdrawn: ${row.reason ?? 'nobody waits for it'}`);
  throw approvalError('approval_conflict', `${row.id} is decided already: it is ${row.state}`);
}

function checkApprover(row: ApprovalRow, terms: ApprovalTerms, approver: Approver, rules: VotingRules): void {
  if (row.tailnet !== approver.tailnet)
    throw approvalError('approval_unknown', `there is no approval ${row.id}`);
  if (isRequester(row, approver, rules.peopleBehind)) {
    if (!terms.selfApprove)
      throw approvalError(
        'approval_self',
        'nobody decides what they asked themselves, nor by their own token or device; another approver must, or the policy says "self_approve"',
      );
    // A token may lie where the agent that asked can read it; a person shows presence by hand.
    if (approver.how === 'token')
      throw approvalError(
        'approval_self',
        'deciding what you asked yourself needs you in person, not a token',
      );
  }
  if (!isMeant(row, approver, terms, rules))
    throw approvalError('approval_not_yours', `the approvers of "${row.entry}" do not mean you`);
}

/** By principal, login, token, minter of a token, or device. */
function isRequester(row: DecidableBy, approver: Approver, peopleBehind: PeopleBehind): boolean {
  const device = approver.caller?.device?.stableId;
  if (device !== undefined && device === row.deviceId) return true;
  const asked = peopleOf(row, peopleBehind);
  return isSamePerson(asked, namesOf(approver, peopleBehind));
}

function namesOf({ principal, label, caller }: Approver, peopleBehind: PeopleBehind): ReadonlySet<string> {
  return peopleOf({ principal, label, tokenId: caller?.token?.id ?? null }, peopleBehind);
}

/** Meant then and meant now: a change of the document takes the right away at once, and gives none in hindsight. */
function isMeant(
  row: DecidableBy,
  { caller }: Approver,
  terms: ApprovalTerms,
  { mayApprove }: Pick<VotingRules, 'mayApprove'>,
): boolean {
  if (caller === null) return true;
  return mayApprove(row.terms.approvers, caller) && mayApprove(terms.approvers, caller);
}

/** The stricter of the terms that were asked under and those of the entry now; `approvers` are those of now. */
function termsNow({ terms }: DecidableBy, entry: ApprovalEntry | null): ApprovalTerms {
  if (entry === null) return terms;
  return {
    ...terms,
    approvers: entry.approvers,
    quorum: Math.max(terms.quorum, entry.quorum),
    selfApprove: terms.selfApprove && entry.selfApprove,
    scopes: terms.scopes.filter((scope) => entry.scopes.includes(scope)),
    maxDurationMs: Math.min(terms.maxDurationMs, entry.maxDurationMs),
    allowEdit: terms.allowEdit && entry.allowEdit,
  };
}

function voteOf(
  row: ApprovalRow,
  terms: ApprovalTerms,
  approver: Approver,
  verdict: Verdict,
  { now, peopleBehind }: VotingRules,
): ApprovalVote {
  const approves = verdict.verdict === 'approve';
  const scope = approves ? verdict.scope : 'once';
  checkScope(row, terms, scope);
  if (approves && verdict.edited !== undefined && (!terms.allowEdit || row.subjectKind !== 'tool'))
    throw approvalError(
      'approval_invalid',
      `the arguments of ${row.id} may not be edited, only approved or denied`,
    );
  return {
    principal: approver.principal,
    label: approver.label,
    people: [...namesOf(approver, peopleBehind)],
    how: approver.how,
    at: now,
    verdict: verdict.verdict,
    scope,
    durationMs: approves && scope === 'time' ? durationOf(verdict.durationMs, terms) : null,
    reason: verdict.reason === null ? null : verdict.reason.slice(0, REASON_MAX_CHARS),
    edited: approves && verdict.edited !== undefined,
  };
}

/** `once` is always allowed; it is the least. */
function checkScope(row: ApprovalRow, terms: ApprovalTerms, scope: ApprovalScope): void {
  if (scope !== 'once' && !terms.scopes.includes(scope))
    throw approvalError(
      'approval_invalid',
      `"${row.entry}" does not allow the scope "${scope}"; choose ${['once', ...terms.scopes.filter((one) => one !== 'once')].join(' or ')}`,
    );
  if (scope === 'session' && row.sessionId === null)
    throw approvalError('approval_invalid', `${row.id} was asked outside a session; choose "once" or "time"`);
}

function durationOf(asked: number | undefined, { maxDurationMs }: ApprovalTerms): number {
  if (asked === undefined) return maxDurationMs;
  if (!Number.isFinite(asked) || asked < 1_000 || asked > maxDurationMs)
    throw approvalError(
      'approval_invalid',
      `the duration must be from 1 s to ${Math.floor(maxDurationMs / 1_000)} s, got ${asked / 1_000} s`,
    );
  return Math.floor(asked);
}

/** Whoever approves has seen what will run. */
function checkSeen(row: ApprovalRow, seenEdits: number): void {
  if (seenEdits !== row.edits)
    throw approvalError(
      'approval_conflict',
      `the arguments of ${row.id} were edited since; look at it again`,
    );
}

/** What all of the quorum allowed: the narrowest of their scopes. */
function approvedUntil(
  votes: readonly ApprovalVote[],
  terms: ApprovalTerms,
  now: UnixMs,
): Pick<ApprovalRow, 'state' | 'decidedAt' | 'once' | 'sessionBound' | 'validUntil'> {
  const once = votes.some(({ scope }) => scope === 'once');
  const durations = votes.flatMap(({ durationMs }) => durationMs ?? []);
  // A single use waits for the retry as long as the question waited for a person.
  const longest = once ? terms.pendingMs : terms.maxDurationMs;
  return {
    state: 'approved',
    decidedAt: now,
    once,
    sessionBound: votes.some(({ scope }) => scope === 'session'),
    validUntil: now + Math.min(longest, ...durations),
  };
}
