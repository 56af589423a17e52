/** What this server is set to and how it is: the operator's settings, `doctor`, retention, and about. */
import { createRoute, z } from '@hono/zod-openapi';
import { seesAll } from '../actor.ts';
import { diagnose } from '../diagnosis.ts';
import type { ApiDependencies } from '../ports.ts';
import type { ApiRouter } from '../router.ts';
import { json, TimeSchema, timeText } from '../schemas.ts';

const ANY = { role: 'user', presence: false, scope: 'read' } as const;
const READ = { role: 'auditor', presence: false, scope: 'read' } as const;

const SettingsSchema = z
  .object({
    items: z.array(
      z.object({
        name: z.string(),
        value: z.unknown().describe('As it holds now; `[secret]` where one is set, null where nothing is.'),
        origin: z.enum(['flag', 'environment', 'file', 'default']),
        origin_name: z.string().nullable().describe('The flag, the variable or the file.'),
        flag: z.string().nullable(),
        env: z.string().nullable(),
        doc: z.string(),
        unit: z.string(),
        fallback: z.string().describe('The default, in words.'),
        example: z.string(),
        dangerous: z.boolean().describe('It weakens security, and is on.'),
      }),
    ),
    settings_file: z.string(),
    settings_file_found: z.boolean(),
  })
  .openapi('Settings');

const DoctorSchema = z
  .object({
    ok: z.boolean().describe('There is nothing to mend.'),
    findings: z.array(
      z.object({
        check: z.string(),
        level: z.enum(['ok', 'note', 'warning', 'problem']),
        message: z.string(),
        fix: z.string().nullable(),
      }),
    ),
  })
  .openapi('Diagnosis');

const RetentionSchema = z
  .object({
    document: z
      .object({
        duration_sec: z
          .number()
          .nullable()
          .describe('Null: words are kept without an end; 0: never written.'),
        purge: z.array(z.string()),
        require_export: z.boolean(),
      })
      .nullable()
      .describe('Null: the document says nothing.'),
    enforced: z.boolean().describe('Whether this version deletes what is older.'),
    capture: z
      .array(z.object({ rule: z.string(), capture: z.string() }))
      .describe('Grants that say what is kept; without one `full`.'),
  })
  .openapi('Retention');

const AboutSchema = z
  .object({
    version: z.string(),
    node: z.string(),
    platform: z.string(),
    started_at: TimeSchema,
    uptime_sec: z.int(),
    tailnet: z.string(),
    demo: z.boolean().describe('Everything here is made up.'),
    store: z
      .object({ bytes: z.int(), requests: z.int(), body_items: z.int() })
      .nullable()
      .describe('Shown to auditors and admins.'),
    recorder: z
      .object({
        queued_rows: z.int(),
        queued_bytes: z.int(),
        written: z.int(),
        dropped_bodies: z.int(),
        lost_rows: z.int(),
        lag_ms: z.number(),
        last_error: z.string().nullable(),
      })
      .nullable()
      .describe('Shown to auditors and admins.'),
  })
  .openapi('About');

export function addSettingsRoutes(router: ApiRouter, deps: ApiDependencies): void {
  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/settings',
      summary: "The operator's settings, and where each came from",
      description: 'Changed by the operator alone: flags, environment or the settings file, and a new start.',
      responses: { 200: json(SettingsSchema, 'Settings without secrets.') },
    }),
    (c) => {
      const settings = deps.settings?.();
      return c.json(
        {
          items: (settings?.items ?? []).map(({ originName, ...item }) => ({
            ...item,
            origin_name: originName,
          })),
          settings_file: settings?.file ?? '',
          settings_file_found: settings?.fileFound ?? false,
        },
        200,
      );
    },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/doctor',
      summary: 'What is wrong with this server, and how to mend it',
      responses: { 200: json(DoctorSchema, 'Findings, as `postern doctor` has them.') },
    }),
    async (c) => {
      const findings = await diagnose(deps);
      const isBad = ({ level }: { readonly level: string }): boolean =>
        level === 'problem' || level === 'warning';
      return c.json(
        { ok: !findings.some(isBad), findings: findings.map((finding) => ({ ...finding })) },
        200,
      );
    },
  );

  router.add(
    READ,
    createRoute({
      method: 'get',
      path: '/api/v1/retention',
      summary: 'What is kept, and how long',
      responses: { 200: json(RetentionSchema, 'By the document in force.') },
    }),
    (c) => {
      const kept = deps.retention?.() ?? { document: null, capture: [] };
      return c.json(
        {
          document:
            kept.document === null
              ? null
              : {
                  duration_sec: kept.document.durationMs === null ? null : kept.document.durationMs / 1_000,
                  purge: [...kept.document.purge],
                  require_export: kept.document.requireExport,
                },
          enforced: false,
          capture: kept.capture.map((rule) => ({ ...rule })),
        },
        200,
      );
    },
  );

  router.add(
    ANY,
    createRoute({
      method: 'get',
      path: '/api/v1/about',
      summary: 'Version, uptime and size',
      responses: { 200: json(AboutSchema, 'About this server.') },
    }),
    async (c) => {
      const actor = c.get('actor');
      const all = seesAll(actor);
      const store = all ? await deps.store.health() : null;
      const now = deps.clock.now();
      const startedAt = deps.startedAt ?? now;
      return c.json(
        {
          version: deps.version,
          node: process.versions.node,
          platform: `${process.platform}-${process.arch}`,
          started_at: timeText(startedAt),
          uptime_sec: Math.max(0, Math.round((now - startedAt) / 1_000)),
          tailnet: actor.tailnet,
          demo: deps.demo === true,
          store:
            store === null
              ? null
              : { bytes: store.bytes, requests: store.requests, body_items: store.bodyItems },
          recorder: all ? recorderView(deps) : null,
        },
        200,
      );
    },
  );
}

function recorderView({ recorder }: Pick<ApiDependencies, 'recorder'>) {
  const stats = recorder.stats();
  return {
    queued_rows: stats.queuedRows,
    queued_bytes: stats.queuedBytes,
    written: stats.written,
    dropped_bodies: stats.droppedBodies,
    lost_rows: stats.lostRows,
    lag_ms: stats.lagMs,
    last_error: stats.lastError,
  };
}
