/**
 * Replays recorded metadata against a draft policy and the one in force (issue: policy as code).
 * Both are judged in the same way, so that an unchanged policy changes nothing. Nothing is sent,
 * stored or taken from a real budget. Memory is bounded; the event loop is given back every few milliseconds.
 */
import type { Clock, UnixMs } from '../../base/clock.ts';
import type { PolicySnapshot, Provider } from '../../policy/index.ts';
import type { FormatAbilities, RecordedRows, ReplayPrices, TokenLookup } from './ports.ts';
import { createRecordedCallers } from './recorded-caller.ts';
import { ReplaySide } from './replay-side.ts';
import type { SimulationReport } from './report.ts';
import { rowsInOrder } from './rows-in-order.ts';
import { Sums } from './sums.ts';

/** The loop works no longer in one go: DESIGN section 11 allows 10 ms. */
const SLICE_MS = 3;

export interface SimulationInput {
  readonly tailnet: string;
  readonly store: RecordedRows;
  readonly prices: ReplayPrices;
  readonly abilities: FormatAbilities;
  readonly tokenOf: TokenLookup;
  readonly clock: Clock;
  /** The policy in force. */
  readonly before: PolicySnapshot;
  readonly draft: PolicySnapshot;
  /** Inclusive. */
  readonly from: UnixMs;
  /** Exclusive. */
  readonly to: UnixMs;
  /** Changed requests that are told one by one. */
  readonly requestsMax: number;
  /** Ends the simulation: it rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Lets others run: `setImmediate` as a promise. */
  readonly pause: () => Promise<void>;
  /** Told at each pause. */
  readonly onProgress: (progress: SimulationProgress) => void;
}

export interface SimulationProgress {
  readonly rows: number;
  /** Begin of the row that was last looked at; null before the first. */
  readonly at: UnixMs | null;
}

/** Rejects as the store does, and with the signal's reason. */
export async function simulate(input: SimulationInput): Promise<SimulationReport> {
  const { before, draft, clock, signal, from, to } = input;
  const callers = createRecordedCallers({
    tokenOf: input.tokenOf,
    definedGroups: new Set([...before.document.groups.keys(), ...draft.document.groups.keys()]),
  });
  const common = { abilities: input.abilities, prices: input.prices, from };
  const now = new ReplaySide({ ...common, policy: before, samePrices: () => true });
  const then = new ReplaySide({ ...common, policy: draft, samePrices: samePricesAs(before) });
  const sums = new Sums({ requestsMax: input.requestsMax });
  let rows = 0;
  let skipped = 0;
  let sliceBegan = clock.monotonicMs();
  for await (const chunk of rowsInOrder(input.store, { tailnet: input.tailnet, from, to })) {
    for (const row of chunk) {
      rows += 1;
      if (row.requestedModel === null) skipped += 1;
      else {
        const request = { row, caller: callers.of(row), model: row.requestedModel };
        const was = await now.judge(request, null);
        sums.add(request, was, await then.judge(request, was));
      }
      if (clock.monotonicMs() - sliceBegan < SLICE_MS) continue;
      input.onProgress({ rows, at: row.startedAt });
      await input.pause();
      signal.throwIfAborted();
      sliceBegan = clock.monotonicMs();
    }
    signal.throwIfAborted();
  }
  const forgotten = now.forgottenBuckets + then.forgottenBuckets;
  return sums.report({
    from,
    to,
    rows,
    skipped,
    versions: { before: before.version, after: draft.version },
    limits: limitsOf(input, forgotten),
  });
}

/** Whether a provider is billed by the same terms under both policies. */
function samePricesAs(policy: PolicySnapshot): (provider: Provider) => boolean {
  const known = new WeakMap<Provider, boolean>();
  return (provider) => {
    const found = known.get(provider);
    if (found !== undefined) return found;
    const other = policy.providers.get(provider.id);
    const isSame = other !== undefined && termsOf(other) === termsOf(provider);
    known.set(provider, isSame);
    return isSame;
  };
}

function termsOf({ kind, costBasis, modelCostMap, builtIn }: Provider): string {
  return JSON.stringify([costBasis ?? kind, modelCostMap, builtIn]);
}

/** What cannot be told, as far as it matters for these two policies. */
function limitsOf({ before, draft }: SimulationInput, forgotten: number): readonly string[] {
  const documents = [before.document, draft.document];
  const capabilities = documents.flatMap(({ grants }) => grants.flatMap((grant) => grant.capabilities));
  const hasTools =
    documents.some(({ tools }) => tools.length > 0) || capabilities.some(({ tools }) => tools.length > 0);
  const limits = [
    'Rows hold no bodies: what a model would have answered to another request, and what follows from it, cannot be told.',
    'Capabilities that the network carried are not recorded: requests that they opened are counted as unknown.',
    'Tags of a device are known only where nobody was signed in on it; whether a device is shared is not known.',
    'Providers and keys count as healthy; cached answers count as sent.',
  ];
  if (hasTools)
    limits.push(
      'Arguments of tool calls are not recorded: a rule with "when" is counted as one that may hold. Calls that were denied when they were recorded may be missing.',
    );
  if (documents.some(({ guardrails }) => guardrails.size > 0))
    limits.push(
      'Guardrails are counted where they would look; what they would find is not known, save a request over "max_body_bytes".',
    );
  if (documents.some(({ hooks }) => hooks.size > 0))
    limits.push('Hooks are counted where they would be called; nobody is called.');
  if (documents.some(({ quotas }) => quotas.size > 0))
    limits.push(
      'Budgets are full at the begin, and a request takes what it used in the end, where the gateway reserves more at first: near a limit it refuses a little sooner. Requests that were refused when they were recorded take nothing.',
    );
  if (forgotten > 0)
    limits.push(
      `${forgotten} buckets were forgotten for want of room and were full when they were used again.`,
    );
  return limits;
}
