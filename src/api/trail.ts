/** How a request was decided, step by step, as its record tells it: the pipeline's steps in their order (DESIGN section 3). */
import { z } from '@hono/zod-openapi';
import type { RequestRow, RowDecision } from '../store/shapes.ts';
import { type Actor, seesAll } from './actor.ts';

const STEPS = [
  'identify',
  'authorize',
  'route',
  'reserve',
  'guard',
  'forward',
  'inspect',
  'settle',
  'record',
] as const;
type Step = (typeof STEPS)[number];

const StepSchema = z.object({
  step: z.enum(STEPS),
  state: z
    .enum(['passed', 'refused', 'failed', 'skipped', 'waiting'])
    .describe('`skipped`: it did not come to this; `waiting`: for a person.'),
  duration_us: z.int().nullable().describe('Null where it is not measured by itself.'),
  rule: z.string().nullable().describe("The rule's place in the document."),
  text: z.string(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  decisions: z.array(
    z.object({
      about: z.string(),
      name: z.string(),
      action: z.string(),
      rule: z.string().nullable(),
      approval_id: z.string().nullable(),
    }),
  ),
});

export const TrailSchema = z.object({ id: z.string(), steps: z.array(StepSchema) }).openapi('RequestTrail');

type StepView = z.output<typeof StepSchema>;

/** Where each reason of a refusal is found; others are of the provider's side. */
const REFUSED_AT: Readonly<Record<string, Step>> = {
  no_identity: 'identify',
  token_invalid: 'identify',
  role_missing: 'authorize',
  scope_missing: 'authorize',
  access_revoked: 'authorize',
  model_missing: 'route',
  model_not_available: 'route',
  format_not_available: 'route',
  object_not_found: 'route',
  stored_input_refused: 'route',
  translation_unsupported: 'route',
  key_missing: 'route',
  place_refused: 'route',
  place_unknown: 'route',
  body_too_large: 'route',
  body_invalid: 'route',
  body_incomplete: 'route',
  encoding_unsupported: 'route',
  budget_exhausted: 'reserve',
  budget_too_small: 'reserve',
  budget_not_enforceable: 'reserve',
  budget_unavailable: 'reserve',
  surface_not_governed: 'guard',
  tool_not_allowed: 'guard',
  approval_pending: 'guard',
  approval_denied: 'guard',
  content_blocked: 'guard',
  hook_failed: 'guard',
  answer_not_governable: 'inspect',
  answer_not_translatable: 'inspect',
};

const DECIDED_AT: Readonly<Record<RowDecision['about'], Step>> = {
  attempt: 'route',
  translation: 'route',
  tool: 'guard',
  guardrail: 'guard',
  hook: 'guard',
  cache: 'forward',
  tool_call: 'inspect',
};

/** The trail of a record that the actor may see. */
export function trailOf(row: RequestRow, actor: Actor): z.output<typeof TrailSchema> {
  const stoppedAt = stopOf(row);
  const stopped = stoppedAt === null ? STEPS.length : STEPS.indexOf(stoppedAt);
  return {
    id: row.id,
    steps: STEPS.map((step, i) => {
      const facts = FACTS[step](row, actor);
      const decisions = row.decisions
        .filter(({ about }) => DECIDED_AT[about] === step)
        .map(({ approvalId, ...rest }) => ({ ...rest, approval_id: approvalId }));
      // A refusal is paid for and recorded like everything else.
      const isReached = i <= stopped || step === 'settle' || step === 'record';
      const state = i === stopped ? stateAt(row) : isReached ? 'passed' : 'skipped';
      return {
        step,
        state,
        duration_us: isReached ? (DURATIONS[step]?.(row) ?? null) : null,
        rule: step === 'authorize' || i === stopped ? row.rule : null,
        text: textOf(step, state, row),
        facts: isReached ? facts : {},
        decisions,
      };
    }),
  };
}

/** The step at which it ended badly; null where all went well. */
function stopOf(row: RequestRow): Step | null {
  if (row.outcome === 'ok') return null;
  const { reason } = row;
  if (reason !== null && Object.hasOwn(REFUSED_AT, reason)) return REFUSED_AT[reason] ?? null;
  if (row.outcome !== 'refused') return 'forward';
  return row.provider === null ? 'route' : 'forward';
}

function stateAt(row: RequestRow): StepView['state'] {
  if (row.reason === 'approval_pending') return 'waiting';
  return row.outcome === 'refused' ? 'refused' : 'failed';
}

/** Of the steps that are measured by themselves. */
const DURATIONS: Readonly<Partial<Record<Step, (row: RequestRow) => number | null>>> = {
  identify: (row) => row.identityUs,
  route: (row) => row.decisionUs,
  forward: (row) => row.upstreamUs,
  record: (row) => row.totalUs,
};

type Facts = StepView['facts'];

const FACTS: Readonly<Record<Step, (row: RequestRow, actor: Actor) => Facts>> = {
  identify: (row) => ({
    door: row.door,
    via: row.via,
    principal: row.principal,
    user: row.userLabel,
    device: row.deviceName ?? row.deviceId,
    token: row.tokenId,
  }),
  authorize: (row) => ({ groups: row.groups.join(', '), agent: row.agent, session: row.sessionId }),
  route: (row, actor) => ({
    asked_for: row.requestedModel,
    provider: row.provider,
    model: row.model,
    format: row.format,
    key: seesAll(actor) ? row.keyId : null,
  }),
  reserve: () => ({}),
  guard: (row) => ({ request_bytes: row.requestBytes }),
  forward: (row) => ({
    status: row.status,
    first_byte_us: row.firstByteUs,
    streamed: row.streamed,
    response_bytes: row.responseBytes,
  }),
  inspect: (row) => ({ tool_calls: row.toolCalls.join(', '), stop_reason: row.stopReason }),
  settle: (row) => ({
    input_tokens: row.inputTokens,
    cache_read_tokens: row.cacheReadTokens,
    output_tokens: row.outputTokens,
    cost_nano_usd: row.costNanoUsd,
    cost_state: row.costState,
    estimated: row.estimated,
    saved_nano_usd: row.savedNanoUsd,
  }),
  record: (row) => ({ capture: row.capture, own_us: row.ownUs }),
};

function textOf(step: Step, state: StepView['state'], row: RequestRow): string {
  if (state === 'skipped') return 'it did not come to this';
  if (state === 'refused' || state === 'waiting') return `refused: ${row.reason ?? 'no reason was recorded'}`;
  if (state === 'failed') return `${row.outcome}${row.reason === null ? '' : `: ${row.reason}`}`;
  return PASSED[step](row);
}

const PASSED: Readonly<Record<Step, (row: RequestRow) => string>> = {
  identify: (row) => `known by the door ${row.door}`,
  authorize: (row) => (row.rule === null ? 'no rule was needed' : `allowed by ${row.rule}`),
  route: (row) =>
    row.provider === null ? 'no provider was needed' : `to ${row.provider}/${row.model ?? ''}`,
  reserve: () => 'every budget that counts it had room',
  guard: () => 'no rule stopped the request',
  forward: (row) => `answered with ${row.status}`,
  inspect: (row) =>
    row.toolCalls.length === 0 ? 'no tool was called' : `${row.toolCalls.length} tool calls seen`,
  settle: (row) => (row.estimated ? 'charged by an estimate' : 'charged by what the provider reported'),
  record: (row) => (row.capture === 'full' ? 'kept with its words' : 'kept without its words'),
};
