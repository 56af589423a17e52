/** Who may reach what in a tailnet: a draft of its policy checked, one question explained, and the whole as a map. */
import { createRoute, z } from '@hono/zod-openapi';
import { ApiError } from '../errors.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, jsonBody } from '../schemas.ts';
import type { TailnetReachPort } from '../tailnet-reach-port.ts';
import { ProblemItem, problemView } from './config.ts';
import { READ, TailnetParams } from './tailnets.ts';

const CHECK = { role: 'admin', presence: false, scope: 'read' } as const;
/** Of the text; the longest policy has a MiB (`NETWORK_POLICY_MAX_LENGTH`), and JSON may double it. */
const BODY_MAX_BYTES = 4 * 1024 * 1024;
const PolicyText = z.string().max(1_048_576).nullable();
const End = z.string().min(1).max(300);

const CheckSchema = z
  .object({
    valid: z.boolean(),
    problems: z.array(ProblemItem),
    failures: z.array(z.object({ path: z.string(), line: z.int(), message: z.string() })),
  })
  .openapi('NetworkPolicyCheck');

const QuestionBody = z.strictObject({
  policy: PolicyText.optional().describe('A draft; absent: the policy in force.'),
  source: End.describe('A device, a login, a tag, a group or an address.'),
  destination: End,
  port: z.int().min(1).max(65_535),
  protocol: z.string().max(20).optional().describe('`tcp`, `udp` …; absent: any of TCP, UDP and ICMP.'),
});

const AnswerSchema = z
  .object({
    allowed: z.boolean(),
    text: z.string(),
    fault: z.string().nullable().describe('What was wrong with the question.'),
    pairs: z.array(
      z.object({
        source: z.string(),
        destination: z.string(),
        rule: z.string().nullable(),
        line: z.int(),
      }),
    ),
  })
  .openapi('NetworkReach');

const MapSchema = z
  .object({
    groups: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(['people', 'tags', 'nobody']),
        names: z.array(z.string()),
        devices: z.array(z.string()),
        online: z.int(),
      }),
    ),
    links: z.array(
      z.object({
        from: z.string(),
        to: z.string(),
        traffic: z.array(z.string()).describe('`*`, `tcp:443`, `22`.'),
        behind: z.array(z.string()).describe('Ranges behind its devices.'),
        partial: z.boolean().describe('Not all devices of both ends.'),
      }),
    ),
    complete: z.boolean().describe('False where the tailnet is too large for all of it.'),
  })
  .openapi('NetworkMap');

/** Or the refusal that says how to turn it on. */
function reachOf({ tailnetReach }: ApiDependencies): TailnetReachPort {
  if (tailnetReach !== undefined) return tailnetReach;
  throw new ApiError('conflict', 'this Postern coordinates no network');
}

export function addTailnetReachRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/{tailnet}/reach',
      summary: 'Who may reach what in a tailnet, as a map',
      request: { params: TailnetParams },
      responses: { 200: json(MapSchema, 'Devices that are treated alike, and what they may reach.') },
    }),
    (c) => {
      const { groups, links, isComplete } = reachOf(deps).map(c.req.valid('param').tailnet);
      return c.json(
        {
          groups: groups.map((group) => ({ ...group, names: [...group.names], devices: [...group.devices] })),
          links: links.map(({ isPartial, traffic, behind, ...link }) => ({
            ...link,
            traffic: [...traffic],
            behind: [...behind],
            partial: isPartial,
          })),
          complete: isComplete,
        },
        200,
      );
    },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/tailnets/policy/default',
      summary: 'The policy of a tailnet that was given none',
      responses: { 200: json(z.object({ policy: z.string() }), 'HuJSON.') },
    }),
    (c) => c.json({ policy: reachOf(deps).defaultPolicy() }, 200),
  );

  router.add(
    CHECK,
    createRoute({
      method: 'post',
      path: '/api/v1/tailnets/{tailnet}/policy/check',
      summary: "Check a draft of a tailnet's policy without saving it",
      request: { params: TailnetParams, body: jsonBody(z.strictObject({ policy: PolicyText })) },
      responses: { 200: json(CheckSchema, 'Problems with their places, and tests that do not hold.') },
    }),
    (c) => {
      const { problems, failures } = reachOf(deps).check(
        c.req.valid('param').tailnet,
        c.req.valid('json').policy,
      );
      const valid = failures.length === 0 && problems.every(({ severity }) => severity !== 'error');
      return c.json({ valid, problems: problems.map(problemView), failures: [...failures] }, 200);
    },
    { bodyMaxBytes: BODY_MAX_BYTES },
  );

  router.add(
    CHECK,
    createRoute({
      method: 'post',
      path: '/api/v1/tailnets/{tailnet}/policy/explain',
      summary: 'Whether one may reach another, by which rule, and what would change it',
      request: { params: TailnetParams, body: jsonBody(QuestionBody) },
      responses: { 200: json(AnswerSchema, 'The answer, and its reason in words.') },
    }),
    (c) => {
      const { policy, protocol, ...question } = c.req.valid('json');
      const { pairs, ...answer } = reachOf(deps).explain(c.req.valid('param').tailnet, {
        ...question,
        ...(policy === undefined ? {} : { policy }),
        ...(protocol === undefined ? {} : { protocol }),
      });
      return c.json({ ...answer, pairs: [...pairs] }, 200);
    },
    { bodyMaxBytes: BODY_MAX_BYTES },
  );
}
