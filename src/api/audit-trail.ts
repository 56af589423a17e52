/** Writes what actors do to the audit log. */
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

/** Rejects if the log cannot be written, which fails the request: nothing is done unrecorded. */
export async function recordAction(
  deps: Pick<ApiDependencies, 'store' | 'clock'>,
  actor: Actor,
  action: AuditedAction,
): Promise<void> {
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
