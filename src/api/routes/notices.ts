/** Notices: messages that call people to an approval or tell of a budget, as far as they arrived nowhere. */
import { createRoute, z } from '@hono/zod-openapi';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, listOf, TimeSchema, timeText } from '../schemas.ts';

const READ = { role: 'auditor', presence: false, scope: 'read' } as const;

const DeadLetterSchema = z
  .object({
    id: z.string(),
    at: TimeSchema.describe('When it was given up.'),
    event: z.string(),
    target: z
      .string()
      .describe('`webhook https://host`, `slack https://host` or `mail`: never the whole address, a secret.'),
    attempts: z.int(),
    message: z.string().describe('What the last attempt met.'),
  })
  .openapi('NoticeDeadLetter');

export function addNoticeRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/notices/dead-letters',
      summary: 'Notices that were given up, newest first',
      description: 'The last 100 since the start of the process; empty where nobody is sent any.',
      responses: { 200: json(listOf(DeadLetterSchema), 'Dead letters, without what they said.') },
    }),
    (c) => {
      const letters = deps.notices?.deadLetters() ?? [];
      const items = letters.toReversed().map(({ id, at, event, target, attempts, error }) => ({
        id,
        at: timeText(at),
        event,
        target,
        attempts,
        message: error,
      }));
      return c.json({ items, next_cursor: null }, 200);
    },
  );
}
