/**
 * The log of configuration changes in the API v2: what the audit log has of one tailnet, in Tailscale's shape. The
 * audit log names tailnets by what they were called, so of an earlier tailnet of the same name nothing is shown.
 */
import type { AuditRow } from '../../store/shapes.ts';
import type { Tailnet } from '../../tailnet/control/index.ts';
import { badRequest } from './failure.ts';
import type { V2Parts, V2Route } from './routes.ts';

/** Of one answer; it says how to go on. */
const ENTRIES_MAX = 1000;
/** Of the audit log, read for one answer: other tailnets' entries are among them. */
const READ_MAX = 10_000;
const PAGE = 500;

export const LOGGING_ROUTES: readonly V2Route[] = [
  {
    method: 'GET',
    path: '/tailnet/{tailnet}/logging/configuration',
    scope: 'logs:configuration:read',
    async handle({ tailnet, query }, { deps }) {
      const [start, end] = [timeOf(query, 'start'), timeOf(query, 'end')];
      if (start > end) throw badRequest('start: is after end');
      const since = Math.max(start, tailnet.record.createdAt);
      const rows = since > end ? [] : await rowsOf(tailnet, { from: since, to: end }, deps);
      return { body: { version: '1.1', tailnet: tailnet.domain, logs: rows.map(entryJson) } };
    },
  },
];

/** RFC 3339, in milliseconds. */
function timeOf(query: URLSearchParams, name: string): number {
  const at = Date.parse(query.get(name) ?? '');
  if (Number.isNaN(at)) throw badRequest(`${name}: is a time such as 2026-11-24T00:00:00Z`);
  return at;
}

async function rowsOf(
  tailnet: Tailnet,
  span: { readonly from: number; readonly to: number },
  { store, tailnet: home }: V2Parts['deps'],
): Promise<readonly AuditRow[]> {
  const found: AuditRow[] = [];
  let cursor: string | undefined;
  for (let read = 0; read < READ_MAX; read += PAGE) {
    const page = await store.listAudit(
      home,
      { action: 'tailnet.', ...span },
      { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) },
    );
    for (const row of page.items) if (isOf(row, tailnet)) found.push(row);
    if (found.length > ENTRIES_MAX) break;
    if (page.nextCursor === null) return found;
    cursor = page.nextCursor;
  }
  throw badRequest(
    'start: there is more between the two times than one answer holds; ask for a shorter time',
  );
}

function isOf({ target, facts }: AuditRow, { id, record, domain }: Tailnet): boolean {
  const names = [id, record.name, domain];
  const [named = ''] = target.split('/', 1);
  const [stated] = [facts['tailnet']];
  return typeof stated === 'string' ? names.includes(stated) : names.includes(named);
}

function entryJson({ seq, at, actor, actorLabel, door, action, target, facts }: AuditRow) {
  const kind = action.split('.')[1] ?? '';
  return {
    eventGroupID: String(seq),
    eventTime: new Date(at).toISOString(),
    type: 'CONFIG',
    origin: door === 'token' ? 'CONFIG_API' : 'ADMIN_CONSOLE',
    actor: { id: actor, type: 'USER', loginName: actor, displayName: actorLabel },
    target: { id: target, name: target, type: kind.toUpperCase() },
    action,
    new: facts,
  };
}
