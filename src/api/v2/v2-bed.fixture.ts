/** The API v2 over a real coordinator, a door that knows tokens by their text, and a clock that a test moves. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { silentLogger } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { compileNetworkPolicy, parseNetworkPolicy, runNetworkTests } from '../../policy/network/index.ts';
import type { AuditEntry, AuditFilter, AuditRow, Page } from '../../store/shapes.ts';
import type { Tailnet } from '../../tailnet/control/index.ts';
import { openCoordinatorBed } from '../../tailnet/control/coordinator-bed.fixture.ts';
import type { ApiDependencies } from '../ports.ts';
import { createApiV2 } from './api-v2.ts';

const CALLER = {
  principal: 'local:1000',
  tailnet: 'home',
  door: 'token',
  user: { id: '1', login: 'olga@example.com', displayName: 'Olga' },
  device: { id: 'd', name: 'd', tags: [], addresses: [] },
  groups: [],
};
export const BREAK_GLASS = 'break-glass-0123456789';

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- what a client reads
  readonly json: any;
}

interface Ask {
  readonly body?: unknown;
  readonly form?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly basic?: boolean;
}

/** Tailnets `home`, of a person and the gateway, and `other`. */
export async function setUp(t: TestContext) {
  const bed = await openCoordinatorBed();
  const home = await bed.add('home');
  await bed.admin.addUser(home, { login: 'olga@example.com', displayName: 'Olga', role: 'owner' });
  const other = await bed.add('other');
  const audit: AuditRow[] = [];
  let now = 1_800_000_000_000;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts that are read
  const deps = {
    tailnet: home.id,
    clock: { now: () => now, monotonicMs: () => now },
    random: systemRandom,
    logger: silentLogger,
    isBreakGlass: (text: string) => text === BREAK_GLASS,
    policy: { current: () => ({ accessOf: () => ({ roles: new Set(['admin']), leads: [] }) }) },
    store: {
      appendAudit: (entry: AuditEntry) =>
        Promise.resolve(void audit.push({ ...entry, seq: audit.length + 1, hash: '' })),
      listAudit: (
        _tailnet: string,
        { action = '', from = 0, to = 0 }: AuditFilter,
      ): Promise<Page<AuditRow>> =>
        Promise.resolve({
          items: audit
            .filter((row) => row.action.startsWith(action) && row.at >= from && row.at <= to)
            .toReversed(),
          nextCursor: null,
        }),
    },
    tailnetReach: {
      check(_tailnet: string, text: string) {
        const { policy, problems } = parseNetworkPolicy(text);
        const failures =
          policy === null ? [] : runNetworkTests(compileNetworkPolicy(policy, { users: [], nodes: [] }));
        return {
          problems,
          failures: failures.map(({ path, line, got }) => ({ path, line, message: got })),
        };
      },
    },
  } as unknown as ApiDependencies;
  const api = createApiV2(deps, bed.admin);
  const server = http.createServer((req, res) => {
    const token = /^Bearer pst_(\w+)$/.exec(req.headers.authorization ?? '')?.[1];
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a caller by a token of that scope
    const caller = token === undefined ? null : ({ ...CALLER, token: { scopes: [token] } } as never);
    api.handle(req, res, { requestId: 'req_1', caller, listener: 'loopback', secure: false });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ask = async (credential: string | null, line: string, options: Ask = {}): Promise<Answer> => {
    const [method = '', path = ''] = line.split(' ');
    const { body, form, headers = {}, basic = false } = options;
    const authorization = basic
      ? `Basic ${Buffer.from(`${credential ?? ''}:`).toString('base64')}`
      : `Bearer ${credential ?? ''}`;
    const request = http.request({
      port,
      host: '127.0.0.1',
      method,
      path: `/api/v2${path}`,
      agent: false,
      headers: { ...(credential === null ? {} : { authorization }), ...headers },
    });
    if (form !== undefined) request.setHeader('content-type', 'application/x-www-form-urlencoded');
    const sent =
      form === undefined
        ? typeof body === 'string'
          ? body
          : JSON.stringify(body)
        : new URLSearchParams(form).toString();
    if (sent !== undefined) request.setHeader('content-length', Buffer.byteLength(sent));
    request.end(sent);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const text = Buffer.concat(await response.toArray()).toString('utf8');
    let json: unknown = null;
    try {
      json = JSON.parse(text);
    } catch {
      /* A policy as it was written. */
    }
    return { status: response.statusCode ?? 0, headers: response.headers, text, json };
  };
  const client = async (
    tailnet: Tailnet,
    scopes: readonly string[],
    tags: readonly string[] = [],
  ): Promise<{ readonly id: string; readonly secret: string; readonly token: string }> => {
    const made = await bed.admin.clients.create(tailnet.id, {
      description: 'ci',
      scopes,
      tags,
      createdBy: 'test',
    });
    const secret = made.secret.reveal();
    const { json } = await ask(null, 'POST /oauth/token', {
      form: { client_id: made.client.id, client_secret: secret, grant_type: 'client_credentials' },
    });
    return { id: made.client.id, secret, token: String(json.access_token) };
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { bed, home, other, ask, client, audit, pass };
}
