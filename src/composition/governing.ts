/** What decides before something happens: budgets, approvals, and what they remember. */
import { createApprovals, type Approvals, type Notifier } from '../approvals/index.ts';
import type { Clock } from '../base/clock.ts';
import { newId } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Secret } from '../base/secret.ts';
import { KEY_LABELS, type Keyring } from '../crypto/index.ts';
import type { EventBus } from '../events/index.ts';
import type { Documents } from '../gateway/documents/index.ts';
import {
  createCallVerdicts,
  keepRefusals,
  type GoverningParts,
  type PosternEvents,
} from '../gateway/index.ts';
import { createGuardrails } from '../guardrails/index.ts';
import { createHooks, type HookHttp, type Hooks } from '../guardrails/hooks/index.ts';
import { createRefusalMemory } from '../llm/answer/index.ts';
import type { PriceBook } from '../llm/index.ts';
import type { ApprovalsPort, BudgetsPort } from '../api/ports.ts';
import { DEFAULT_APPROVAL } from '../policy/index.ts';
import { createPriceCeiling, createQuotas, type Quotas } from '../quotas/index.ts';
import type { Store } from '../store/index.ts';
import type { Vault } from '../vault/index.ts';
import { startBudgetAlerts } from './budget-alerts.ts';
import { createBudgetsPort } from './caller-budgets.ts';
import { openDurableMemory } from './durable-memory.ts';
import { openGrantsOnApproval, type GrantsOnApproval } from './grants-on-approval.ts';
import { openNotices, type NoticesOptions } from './notices.ts';

export interface GoverningOptions {
  readonly tailnet: string;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly documents: Documents;
  readonly prices: PriceBook;
  readonly events: EventBus<PosternEvents>;
  /** Settings for mail, and the ways out for notices. */
  readonly settings: NoticesOptions['settings'];
  readonly outbound: NoticesOptions['outbound'];
  readonly vault: Pick<Vault, 'select'>;
  /** Over the guarded dialer. */
  readonly hookHttp: HookHttp;
  /** Principals that own a token. */
  readonly peopleBehind: (tokenId: string) => readonly string[];
  /** Where people look at an approval: the console's own address. */
  readonly consoleUrl: () => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface Governing {
  readonly parts: GoverningParts;
  readonly quotas: Quotas;
  readonly approvals: Approvals;
  readonly hooks: Hooks;
  readonly notices: Pick<Notifier, 'deadLetters'>;
  /** As the API knows them. */
  readonly apiApprovals: ApprovalsPort;
  readonly apiBudgets: BudgetsPort;
  /** After the last request. */
  close(): Promise<void>;
}

/** Entries of `approvals` by which callers ask for more; the default one where a document has none. */
const ENTRIES = { model: 'model_access', budget: 'more_budget' } as const;

/** Timers that do not keep the process alive. */
const TIMERS = {
  after(delayMs: number, run: () => void): () => void {
    const timer = setTimeout(run, delayMs).unref();
    return () => clearTimeout(timer);
  },
  every(periodMs: number, run: () => void): () => void {
    const timer = setInterval(run, periodMs).unref();
    return () => clearInterval(timer);
  },
};

export async function openGoverning(options: GoverningOptions): Promise<Governing> {
  const { tailnet, store, keyring, documents, events, clock, random, logger } = options;
  const approvalLink = (id: string): string => new URL(`/approvals/${id}`, options.consoleUrl()).href;
  const quotas = createQuotas({
    store,
    clock,
    logger,
    instance: newId('ins', clock, random),
    publish: (name, event) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the bus has these events by the same names; the compiler cannot tie a generic name to both
      events.publish(name, event as PosternEvents[typeof name]);
    },
    unknownInput: ({ unknownInput }) =>
      unknownInput === null ? { kind: 'deny' } : { kind: 'ceiling', amount: unknownInput },
  });
  const memory = openDurableMemory({
    tailnet,
    store,
    key: keyring.key(KEY_LABELS.memory),
    clock,
    logger,
  });
  const placeholders = memory.keeping('placeholder');
  const notifier = openNotices({ ...options, timers: TIMERS });
  let given: GrantsOnApproval | null = null;
  const approvals = createApprovals({
    store,
    clock,
    random,
    timers: TIMERS,
    logger,
    keys: { seal: keyring.key(KEY_LABELS.approvalSeal), hash: keyring.key(KEY_LABELS.approvalHash) },
    notifier,
    publish: (name, event) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the bus has these events by the same names; the compiler cannot tie a generic name to both
      events.publish(name, event as PosternEvents[typeof name]);
    },
    // Before `given` is open nobody decides; what was decided before is put right as it opens.
    beforeTold: (approved) => given?.follow(approved),
    mayApprove: (approvers, caller) => documents.current().mayApprove(approvers, caller),
    entryOf: (name) => documents.current().approval(name),
    peopleBehind: options.peopleBehind,
    linkFor: approvalLink,
  });
  const hooks = createHooks({
    http: options.hookHttp,
    secrets: {
      apiKey: ({ id, apiKey, url }) => (apiKey === null ? null : keyOf(options.vault, `hook:${id}`, url)),
      signingKey: ({ id, url }) => keyOf(options.vault, `hook:${id}/signing`, url),
    },
    key: keyring.key(KEY_LABELS.hooks),
    letters: { keeping: memory.keeping('dead_letter'), earlier: await memory.load('dead_letter') },
    entryOf(id) {
      const entry = documents.current().document.hooks.get(id) ?? null;
      return entry?.disabled === true ? null : entry;
    },
    clock,
    random,
    logger,
  });
  approvals.start(tailnet);
  // Buckets of quotas that a document no longer has are deleted (Aperture, "Quota semantics").
  const forget = async (): Promise<void> => {
    const { document } = documents.current();
    // A document, or a quota, that cannot be read is no reason to forget what was spent.
    const isWhole = !document.disabled.some((path) => path.startsWith('quotas'));
    if (documents.lastError() === null && isWhole)
      await quotas.configure(tailnet, [...document.quotas.keys()]);
  };
  await forget();
  const stopAlerts = startBudgetAlerts({
    events,
    notifier,
    targetsOf: (quota) => documents.current().document.quotas.get(quota)?.notify ?? [],
    logger,
  });
  given = await openGrantsOnApproval({ ...options, approvals, quotas, timers: TIMERS });
  const stop = documents.onChange(() => {
    forget().catch((error: unknown) =>
      logger.error('budgets of removed quotas stay', { error: String(error) }),
    );
  });
  return {
    parts: {
      quotas,
      priceCeiling: createPriceCeiling(options.prices),
      approvals,
      hooks,
      guardrails: createGuardrails({
        key: keyring.key(KEY_LABELS.redaction),
        earlier: await memory.load('placeholder'),
        onKept: (value) => placeholders.put([value.scope, value.kind, value.value], value),
      }),
      approvalLink,
      refusals: keepRefusals(createRefusalMemory(), memory.keeping('refusal'), await memory.load('refusal')),
      verdicts: createCallVerdicts(memory.keeping('verdict'), await memory.load('verdict')),
    },
    quotas,
    approvals,
    hooks,
    notices: notifier,
    apiApprovals: {
      request: (question) => approvals.request(question),
      decide: (id, approver, verdict) => approvals.decide(id, approver, verdict),
      withdrawOne: (of, id, reason) => approvals.withdrawOne(of, id, reason),
      get: (of, id) => approvals.get(of, id),
      content: (of, id) => approvals.content(of, id),
      list: (filter, page, shows) => approvals.list(filter, page, shows),
      mayDecide: (record, approver) => approvals.mayDecide(record, approver),
      entryFor: (kind) => documents.current().approval(ENTRIES[kind]) ?? DEFAULT_APPROVAL,
    },
    apiBudgets: createBudgetsPort(quotas, documents),
    async close() {
      stop();
      stopAlerts();
      await given?.close();
      approvals.close();
      notifier.close();
      await hooks.close();
      await memory.close();
      await quotas.close();
    },
  };
}

/** Bound to the origin that it was entered for, like every key (DESIGN section 6). */
function keyOf(vault: Pick<Vault, 'select'>, name: string, url: string): Secret | null {
  return vault.select(name, new URL(url).origin)?.secret ?? null;
}
