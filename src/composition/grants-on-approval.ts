/**
 * What follows from an approval that somebody asked for by themselves (DESIGN section 7): a budget is
 * refilled once, a model is granted until the approval ends. The approval is the truth. What it
 * gives is put right at start, so that a crash in between neither loses nor doubles it.
 */
import type { ApprovalRecord, Approvals, Timers } from '../approvals/index.ts';
import type { Clock } from '../base/clock.ts';
import { describeError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { EventBus } from '../events/index.ts';
import type { Documents } from '../gateway/documents/index.ts';
import type { PosternEvents } from '../gateway/index.ts';
import { patternFault } from '../policy/index.ts';
import type { Quotas } from '../quotas/index.ts';
import type { Store, StoredGrant } from '../store/index.ts';

export interface GrantsOnApprovalOptions {
  readonly tailnet: string;
  readonly approvals: Pick<Approvals, 'get' | 'list'>;
  readonly quotas: Pick<Quotas, 'refillByApproval'>;
  readonly store: Pick<Store, 'listGrants' | 'putGrant' | 'deleteGrant' | 'appendAudit'>;
  readonly documents: Pick<Documents, 'reloadGrants' | 'text'>;
  readonly events: EventBus<PosternEvents>;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface GrantsOnApproval {
  /** Gives what was approved; undefined where that is nothing. Never rejects: what fails is logged and tried again. */
  follow(approved: Pick<ApprovalRecord, 'id' | 'tailnet' | 'subjectKind'>): Promise<void> | undefined;
  /** Ends after what is under way. */
  close(): Promise<void>;
}

const PAGE = 500;
/** After a failure everything is put right again. */
const AGAIN_MS = 10_000;
/** A clock that was set is noticed after so long. */
const LOOK_MAX_MS = 60_000;

/** Puts right what earlier runs left, and then ends what ends; decisions come by `follow`. Rejects as the store does. */
export async function openGrantsOnApproval(options: GrantsOnApprovalOptions): Promise<GrantsOnApproval> {
  const grants = new GrantsByApproval(options);
  await grants.open();
  return grants;
}

class GrantsByApproval implements GrantsOnApproval {
  readonly #options: GrantsOnApprovalOptions;
  readonly #stops: (() => void)[] = [];
  #stopWaiting: (() => void) | null = null;
  /** One thing after the other. */
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: GrantsOnApprovalOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    await this.#putRight();
    const { events, tailnet } = this.#options;
    this.#stops.push(
      events.on('approval.expired', (news) => {
        if (news.tailnet === tailnet && news.subjectKind === 'model')
          void this.#soon(() => this.#endGrants());
      }),
    );
  }

  follow({ id, tailnet, subjectKind }: Parameters<GrantsOnApproval['follow']>[0]): Promise<void> | undefined {
    const gives = subjectKind === 'budget' || subjectKind === 'model';
    if (!gives || tailnet !== this.#options.tailnet || this.#closed) return undefined;
    return this.#soon(() => this.#follow(id));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#stops) stop();
    this.#stopWaiting?.();
    await this.#last;
  }

  #soon(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch((error: unknown) => {
      this.#options.logger.error('what was approved is not given yet; it is tried again', {
        error: describeError(error),
      });
      this.#look(AGAIN_MS);
    });
    return this.#last;
  }

  /** Replaces what was waited for: each look does everything. */
  #look(delayMs: number): void {
    this.#stopWaiting?.();
    if (this.#closed) return;
    this.#stopWaiting = this.#options.timers.after(delayMs, () => void this.#soon(() => this.#putRight()));
  }

  async #putRight(): Promise<void> {
    const { approvals, tailnet } = this.#options;
    for (const subjectKind of ['budget', 'model'] as const) {
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<Approvals['list']>> = await approvals.list(
          { tailnet, states: ['approved'], subjectKind },
          { limit: PAGE, ...(cursor === null ? {} : { cursor }) },
        );
        for (const record of page.items) await this.#give(record);
        cursor = page.nextCursor;
      } while (cursor !== null);
    }
    await this.#endGrants();
  }

  async #follow(id: string): Promise<void> {
    const { approvals, tailnet } = this.#options;
    const record = await approvals.get(tailnet, id);
    if (record === null) return;
    await this.#give(record);
    if (record.subjectKind === 'model') await this.#endGrants();
  }

  async #give(record: ApprovalRecord): Promise<void> {
    const { clock } = this.#options;
    if (record.state !== 'approved' || (record.validUntil ?? 0) <= clock.now()) return;
    if (record.subjectKind === 'budget') await this.#refill(record);
    if (record.subjectKind === 'model') await this.#grant(record);
  }

  async #refill(record: ApprovalRecord): Promise<void> {
    const { quotas, tailnet, logger } = this.#options;
    // An approval that stands for longer would refill at every start.
    if (!record.once || record.amount === null) return;
    await this.#audit('budget.refill', record, { amount: record.amount });
    const buckets = await quotas.refillByApproval(tailnet, record.subject, record.amount, record.id);
    if (buckets?.length === 0)
      logger.info('an approved refill found its budget full', {
        approval: record.id,
        bucket: record.subject,
      });
  }

  async #grant(record: ApprovalRecord): Promise<void> {
    const { store, documents, clock, logger } = this.#options;
    const { id, subject, principal } = record;
    // Only the document grants use where a file is it (the API refuses such an approval).
    if (documents.text().source === 'file' || record.once || record.sessionBound) return;
    if (subject.includes('*') || patternFault(subject) !== null) {
      logger.error('an approved model is no model, so nothing is granted', { approval: id });
      return;
    }
    if ((await store.listGrants()).some(({ approvalId }) => approvalId === id)) return;
    await this.#audit('grant.add', record, { principal, model: subject });
    await store.putGrant({
      principal,
      role: 'user',
      models: [subject],
      createdAt: clock.now(),
      createdBy: record.votes.at(-1)?.principal ?? 'operator',
      expiresAt: record.validUntil,
      approvalId: id,
    });
  }

  /** Removes grants whose time or approval is over, brings the others into force, and looks again at the next end. */
  async #endGrants(): Promise<void> {
    const { store, documents, clock } = this.#options;
    const kept: StoredGrant[] = [];
    for (const grant of await store.listGrants()) {
      if (grant.approvalId === null) continue;
      if (await this.#stands(grant)) kept.push(grant);
      else await store.deleteGrant(grant.principal, grant.role, grant.approvalId);
    }
    await documents.reloadGrants();
    const next = Math.min(...kept.map(({ expiresAt }) => expiresAt ?? Infinity));
    if (next === Infinity) return;
    const delayMs = Math.min(Math.max(next - clock.now(), 0) + 1, LOOK_MAX_MS);
    this.#look(delayMs);
  }

  async #stands({ approvalId, expiresAt }: StoredGrant): Promise<boolean> {
    const { approvals, tailnet, clock } = this.#options;
    if (expiresAt === null || expiresAt <= clock.now() || approvalId === null) return false;
    return (await approvals.get(tailnet, approvalId))?.state === 'approved';
  }

  /** Before it is done. Done again after a crash, it is written again; the refill happens once. */
  async #audit(
    action: string,
    record: ApprovalRecord,
    facts: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const { store, clock } = this.#options;
    const last = record.votes.at(-1);
    await store.appendAudit({
      tailnet: record.tailnet,
      at: clock.now(),
      actor: 'operator',
      actorLabel: 'operator',
      door: 'operator',
      presence: null,
      action,
      target: record.subject,
      reason: last?.reason ?? null,
      facts: {
        ...facts,
        approval: record.id,
        asked_by: record.principal,
        approved_by: last?.principal ?? null,
      },
    });
  }
}
