/** A record of a request as the API shows it: lists, one, and live events alike. */
import { z } from '@hono/zod-openapi';
import type { RequestRow } from '../store/shapes.ts';
import { type Actor, seesAll } from './actor.ts';
import { NanoUsd, TimeSchema, timeText } from './schemas.ts';

const Count = z.int().nullable();

const UsageSchema = z.object({
  input_tokens: Count.describe(
    'All input: fresh, from a cache and into one. Null where the provider did not report.',
  ),
  cache_read_tokens: Count,
  cache_write_tokens: Count,
  cache_write_1h_tokens: Count,
  output_tokens: Count.describe('All output, reasoning included.'),
  reasoning_tokens: Count,
  input_audio_tokens: Count,
  output_audio_tokens: Count,
  input_image_tokens: Count,
  output_image_tokens: Count,
  web_searches: Count,
});

const TimingSchema = z
  .object({
    identity_us: z.int(),
    decision_us: z.int(),
    first_byte_us: z.int().nullable(),
    upstream_us: z.int().nullable(),
    own_us: z.int(),
    total_us: z.int(),
  })
  .describe('Microseconds.');

export const RequestSchema = z
  .object({
    id: z.string(),
    started_at: TimeSchema,
    principal: z.string(),
    user_label: z.string(),
    groups: z.array(z.string()),
    device: z.object({ id: z.string(), name: z.string().nullable() }).nullable(),
    door: z.string(),
    via: z.string().nullable(),
    token_id: z.string().nullable(),
    agent: z.string().nullable().describe('A label that the program gave itself; never an authority.'),
    session_id: z.string().nullable(),
    format: z.string(),
    method: z.string(),
    path: z.string(),
    streamed: z.boolean(),
    requested_model: z.string().nullable(),
    provider: z.string().nullable(),
    model: z.string().nullable(),
    key_id: z.string().nullable().describe('Shown to auditors and admins.'),
    status: z.int().describe('0 if no answer was sent.'),
    outcome: z.string(),
    reason: z.string().nullable(),
    rule: z.string().nullable(),
    cost_nano_usd: NanoUsd.nullable(),
    cost_state: z.enum(['priced', 'unpriced', 'free']),
    estimated: z.boolean(),
    usage: UsageSchema,
    tool_calls: z.array(z.string()),
    decisions: z
      .array(
        z.object({
          about: z.string(),
          name: z.string(),
          action: z.string(),
          rule: z.string().nullable(),
          approval_id: z.string().nullable(),
        }),
      )
      .describe('What rules, hooks and people decided on its way.'),
    saved_nano_usd: NanoUsd.describe('What an answer from the response cache would have cost.'),
    stop_reason: z.string().nullable(),
    response_id: z.string().nullable(),
    timing: TimingSchema,
    request_bytes: z.int(),
    response_bytes: z.int(),
    capture: z.enum(['full', 'metadata', 'none']),
  })
  .openapi('Request');

export function requestView(row: RequestRow, actor: Actor): z.output<typeof RequestSchema> {
  return {
    id: row.id,
    started_at: timeText(row.startedAt),
    principal: row.principal,
    user_label: row.userLabel,
    groups: [...row.groups],
    device: row.deviceId === null ? null : { id: row.deviceId, name: row.deviceName },
    door: row.door,
    via: row.via,
    token_id: row.tokenId,
    agent: row.agent,
    session_id: row.sessionId,
    format: row.format,
    method: row.method,
    path: row.path,
    streamed: row.streamed,
    requested_model: row.requestedModel,
    provider: row.provider,
    model: row.model,
    key_id: seesAll(actor) ? row.keyId : null,
    status: row.status,
    outcome: row.outcome,
    reason: row.reason,
    rule: row.rule,
    cost_nano_usd: row.costNanoUsd,
    cost_state: row.costState,
    estimated: row.estimated,
    usage: usageView(row),
    tool_calls: [...row.toolCalls],
    decisions: row.decisions.map(({ about, name, action, rule, approvalId }) => ({
      about,
      name,
      action,
      rule,
      approval_id: approvalId,
    })),
    saved_nano_usd: row.savedNanoUsd,
    stop_reason: row.stopReason,
    response_id: row.responseId,
    timing: {
      identity_us: row.identityUs,
      decision_us: row.decisionUs,
      first_byte_us: row.firstByteUs,
      upstream_us: row.upstreamUs,
      own_us: row.ownUs,
      total_us: row.totalUs,
    },
    request_bytes: row.requestBytes,
    response_bytes: row.responseBytes,
    capture: row.capture,
  };
}

function usageView(row: RequestRow): z.output<typeof UsageSchema> {
  return {
    input_tokens: row.inputTokens,
    cache_read_tokens: row.cacheReadTokens,
    cache_write_tokens: row.cacheWriteTokens,
    cache_write_1h_tokens: row.cacheWrite1hTokens,
    output_tokens: row.outputTokens,
    reasoning_tokens: row.reasoningTokens,
    input_audio_tokens: row.inputAudioTokens,
    output_audio_tokens: row.outputAudioTokens,
    input_image_tokens: row.inputImageTokens,
    output_image_tokens: row.outputImageTokens,
    web_searches: row.webSearches,
  };
}
