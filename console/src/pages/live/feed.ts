/** What the events of this window told: requests under way and ended ones, the newest 500. */
import type { Schema } from '../../api/client.ts';
import type { StartedRequest } from '../../api/live.ts';

/** Beyond this the oldest are dropped: they are in the list of requests. */
const ROWS_MAX = 500;
/** 30 min: no request runs longer; its end was missed. */
const RUNNING_MAX_MS = 30 * 60_000;

export interface FeedRow {
  readonly id: string;
  /** Null for what had ended before the page was opened. */
  readonly started: StartedRequest | null;
  /** Null while it runs. */
  readonly request: Schema<'Request'> | null;
}

export interface Feed {
  /** Newest first. */
  readonly rows: readonly FeedRow[];
}

export type FeedEvent =
  | { readonly name: 'request.started'; readonly data: StartedRequest }
  | { readonly name: 'request.finished'; readonly data: Schema<'Request'> }
  | { readonly name: 'gap' };

export const emptyFeed: Feed = { rows: [] };

/** The feed after one more event. After a gap nobody knows what still runs: such rows are dropped. */
export function feedOf(feed: Feed, event: FeedEvent): Feed {
  if (event.name === 'gap') return { rows: feed.rows.filter(({ request }) => request !== null) };
  const { id } = event.data;
  const known = feed.rows.find((row) => row.id === id);
  if (event.name === 'request.started') {
    if (known !== undefined) return feed;
    return bounded([{ id, started: event.data, request: null }, ...feed.rows]);
  }
  if (known === undefined) return bounded([{ id, started: null, request: event.data }, ...feed.rows]);
  return { rows: feed.rows.map((row) => (row.id === id ? { ...row, request: event.data } : row)) };
}

function bounded(rows: readonly FeedRow[]): Feed {
  const oldest = Date.now() - RUNNING_MAX_MS;
  return {
    rows: rows
      .filter(({ started, request }) => request !== null || Date.parse(started?.started_at ?? '') > oldest)
      .slice(0, ROWS_MAX),
  };
}

export interface FeedFilter {
  readonly q: string | null;
  /** `running` or an outcome. */
  readonly state: string | null;
  readonly whose: 'mine' | null;
  /** The viewer's principal. */
  readonly me: string;
}

/** Whether a row is shown. */
export function matches(row: FeedRow, { q, state, whose, me }: FeedFilter): boolean {
  const shown = row.request ?? row.started;
  if (shown === null) return false;
  if (whose === 'mine' && shown.principal !== me) return false;
  if (state !== null && (row.request?.outcome ?? 'running') !== state) return false;
  if (q === null) return true;
  const words = [
    row.id,
    shown.user_label,
    shown.agent,
    shown.model,
    shown.requested_model,
    shown.provider,
    row.request?.session_id,
    row.request?.reason,
    ...(row.request?.tool_calls ?? []),
  ];
  const wanted = q.toLowerCase();
  return words.some((word) => word?.toLowerCase().includes(wanted) === true);
}
