/** Writes what actors do to the audit log. */
import { AppError } from '../base/errors.ts';
import type { Actor } from './actor.ts';
import type { ApiDependencies } from './ports.ts';

export interface AuditedAction {
  /** `token.create`, `key.promote`, `config.save`, `prompt.read` … */
  readonly action: string;
  readonly target: string;
  readonly reason?: string | null;
  /** Small facts; never a secret. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** How presence was shown, where the action itself showed it (a claim, a passkey). */
  readonly presence?: string;
}

type AuditParts = Pick<ApiDependencies, 'store' | 'clock'>;

/** Rejects if the log cannot be written, which fails the request: nothing is done unrecorded. */
export async function recordAction(deps: AuditParts, actor: Actor, action: AuditedAction): Promise<void> {
  await deps.store.appendAudit({
    tailnet: actor.tailnet,
    at: deps.clock.now(),
    actor: actor.principal,
    actorLabel: actor.label,
    door: actor.door,
    presence: action.presence ?? actor.presence?.how ?? null,
    action: action.action,
    target: action.target,
    reason: action.reason ?? null,
    facts: action.facts ?? {},
  });
}

/**
 * Makes a change that is in the log before it is made: no crash in between leaves one that nobody
 * knows of. A change that then fails gets a second entry, `<action>.failed`, with the code of the fault.
 */
export async function recordChange<Result>(
  deps: AuditParts,
  actor: Actor,
  action: AuditedAction,
  change: () => Promise<Result>,
): Promise<Result> {
  await recordAction(deps, actor, action);
  try {
    return await change();
  } catch (error) {
    await recordFailure(deps, actor, action, error);
    throw error;
  }
}

/**
 * As `recordChange`, for changes that only take away (a revocation). Where the log cannot be written
 * the change is made all the same, as far as it goes, and the request fails with the log's fault.
 */
export async function recordWithdrawal<Result>(
  deps: AuditParts,
  actor: Actor,
  action: AuditedAction,
  change: () => Promise<Result>,
): Promise<Result> {
  try {
    await recordAction(deps, actor, action);
  } catch (error) {
    await change();
    throw error;
  }
  try {
    return await change();
  } catch (error) {
    await recordFailure(deps, actor, action, error);
    throw error;
  }
}

async function recordFailure(
  deps: AuditParts,
  actor: Actor,
  action: AuditedAction,
  error: unknown,
): Promise<void> {
  const fault = error instanceof AppError ? error.code : 'internal';
  try {
    await recordAction(deps, actor, {
      ...action,
      action: `${action.action}.failed`,
      facts: { ...action.facts, error: fault },
    });
  } catch {
    // The change's own fault is what the caller is told; most likely both have one cause, the store.
  }
}
