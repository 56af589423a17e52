/** Reading what another person asked and was answered: role, reason and presence, and it is recorded (DESIGN section 5). */
import { presenceRequired } from './access.ts';
import { seesAll } from './actor.ts';
import { recordAction } from './audit-trail.ts';
import { ApiError } from './errors.ts';
import type { ApiDependencies } from './ports.ts';
import { type ApiContext, ownOrigin } from './router.ts';

/** What is read. */
export interface ReadContent {
  /** Whose it is. */
  readonly principal: string;
  /** Request or session. */
  readonly target: string;
  readonly reason: string | undefined;
  /** Small facts for the log. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/**
 * Lets the owner through; of others those who may, and writes the audit row before anything is shown.
 * Throws `role_missing`, `scope_missing`, `invalid_request` without a reason, `presence_required`.
 */
export async function allowReading(c: ApiContext, deps: ApiDependencies, read: ReadContent): Promise<void> {
  const actor = c.get('actor');
  if (read.principal === actor.principal) return;
  if (!seesAll(actor))
    throw new ApiError('role_missing', "another person's prompt needs the role auditor or admin");
  if (actor.caller?.door === 'token' && actor.caller.token?.scopes.includes('admin') !== true)
    throw new ApiError('scope_missing', 'another person\'s prompt needs a token with the scope "admin"');
  if (read.reason === undefined)
    throw new ApiError('invalid_request', "reason: say why you read another person's prompt; it is recorded");
  if (actor.presence === null)
    throw presenceRequired({ context: c.get('context'), ownOrigin: ownOrigin(c) }, deps);
  await recordAction(deps, actor, {
    action: 'prompt.read',
    target: read.target,
    reason: read.reason,
    facts: { principal: read.principal, ...read.facts },
  });
}
