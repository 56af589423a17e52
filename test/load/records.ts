/** What Postern recorded, read page by page over its API as its caller would. */
import type { Client } from './client.ts';

/** The members of a row (docs/reference/openapi.json) that the accounting needs. */
export interface RecordedRow {
  readonly id: string;
  readonly session_id: string;
  readonly outcome: string;
  readonly status: number;
  readonly estimated: boolean;
  readonly cost_nano_usd: number | null;
  readonly usage: { readonly input_tokens: number | null; readonly output_tokens: number | null };
}

const PAGE_ROWS = 500;

export async function readRows(client: Client): Promise<RecordedRow[]> {
  const rows: RecordedRow[] = [];
  for (let cursor = ''; ;) {
    const page = await client.send(
      `/api/v1/requests?limit=${PAGE_ROWS}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    if (page.status !== 200)
      throw new Error(`the rows cannot be read: ${page.status} ${page.text.slice(0, 300)}`);
    const { items, next_cursor: next } = JSON.parse(page.text);
    rows.push(...items);
    if (next === null) return rows;
    cursor = next;
  }
}

/** The rows once there are `count` of them; after `timeoutMs` what there is then. */
export async function waitForRows(client: Client, count: number, timeoutMs: number): Promise<RecordedRow[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const rows = await readRows(client);
    if (rows.length >= count || Date.now() > deadline) return rows;
    await new Promise((resolve) => {
      setTimeout(resolve, 250);
    });
  }
}
