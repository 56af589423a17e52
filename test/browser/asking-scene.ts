/** A server whose rules ask a person about every call of `Bash`, an agent that makes such calls, and a browser of an approver. */
import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { documentFor, PROVIDER_ENV } from '../scenarios/fake-providers.ts';
import { startFakeUpstream } from '../upstream/index.ts';
import type { WatchedPage } from './browser.ts';
import { startBrowserScene, type BrowserScene } from './scene.ts';

const ADMIN_TOKEN = 'break-glass-token-of-this-test-0123456789';
const OPERATOR = { authorization: `Bearer ${ADMIN_TOKEN}` };
const TOOLS = [{ type: 'function', function: { name: 'Bash', parameters: { type: 'object' } } }];

export interface AskingScene extends BrowserScene {
  /** What the agent's next calls of `Bash` hold, as JSON text. */
  arguments: string;
  /** The agent's turn. Unstreamed it is answered at once, and what it asked for is pending. */
  turn(how?: TurnOptions): Promise<string>;
  /** The newest question. */
  newestId(): Promise<string>;
  /** Another approver, the operator, decides. */
  decideElsewhere(id: string, body: object): Promise<void>;
  stop(): Promise<void>;
}

export interface TurnOptions {
  /** Streamed, the call is held until somebody decides. */
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asked by whoever looks at the page, not by an agent of somebody else. */
  readonly isOwn?: boolean;
}

/** `entry` is `approvals.default`; streams are held unless it says otherwise. */
export async function startAskingScene(entry: object = {}): Promise<AskingScene> {
  const script = { arguments: '{"command":"ls -la","timeout":5}' };
  const upstream = await startFakeUpstream({ calls: () => [{ name: 'Bash', arguments: script.arguments }] });
  const document = documentFor(upstream.url, {
    more: {
      tools: [{ tools: ['Bash'], action: 'ask' }],
      approvals: { default: entry },
      grants: [
        grant(['(loopback)', 'service:agent'], { role: 'user', models: '**' }),
        grant(['service:platform'], { role: 'admin' }),
        grant([`local:${userInfo().uid}`], { role: 'approver' }),
      ],
    },
  });
  const scene = await startBrowserScene({
    document,
    env: { ...PROVIDER_ENV, POSTERN_ADMIN_TOKEN: ADMIN_TOKEN },
  });
  const send = async (path: string, body: object, headers: Readonly<Record<string, string>>) => {
    const answer = await fetch(scene.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const mint = async (minter: Readonly<Record<string, string>>, body: object) => {
    const minted = await send('/api/v1/tokens', { name: 'test', ...body }, minter);
    assert.equal(minted.status, 201, minted.text);
    return { authorization: `Bearer ${String(Object(JSON.parse(minted.text)).token)}` };
  };
  // The operator minted neither the agent's token nor asked, so that they may decide too.
  const platform = await mint(OPERATOR, { owner: 'service:platform', scopes: ['admin'] });
  const agent = await mint(platform, { owner: 'service:agent', scopes: ['use'] });
  return Object.assign(script, scene, {
    async turn({ stream = false, headers = {}, isOwn = false }: TurnOptions = {}) {
      const messages = [{ role: 'user', content: 'tidy up the build folder' }];
      const body = { model: 'gpt-5', messages, tools: TOOLS, stream };
      const answer = await send('/v1/chat/completions', body, { ...(isOwn ? {} : agent), ...headers });
      assert.equal(answer.status, 200, answer.text);
      return answer.text;
    },
    async newestId() {
      const list: unknown = await (
        await fetch(`${scene.url}/api/v1/approvals`, { headers: OPERATOR })
      ).json();
      return String(Object(list).items[0]?.id ?? '');
    },
    async decideElsewhere(id: string, body: object) {
      const decided = await send(`/api/v1/approvals/${id}/decision`, body, OPERATOR);
      assert.equal(decided.status, 200, decided.text);
    },
    async stop() {
      await scene.stop();
      await upstream.close();
    },
  });
}

function grant(src: readonly string[], capability: object): object {
  return { src, app: { 'postern.dev/cap/gateway': [capability] } };
}

/** Shows presence by the printed code, adds a passkey, and ends the presence: the next action asks for the passkey. */
export async function addPasskeyAndLeave({ page }: WatchedPage, scene: BrowserScene): Promise<void> {
  await page.goto(`${scene.url}/presence`);
  await page.getByRole('button', { name: 'Print a code' }).click();
  await page.locator('#message', { hasText: 'printed a code' }).waitFor();
  await page.locator('#code').fill(/presence#(\w+)/.exec(scene.announced.at(-1) ?? '')?.[1] ?? '');
  await page.getByRole('button', { name: 'Use the code' }).click();
  await page.locator('#done').waitFor();
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.locator('#message', { hasText: 'The passkey is added' }).waitFor();
  await page.getByRole('button', { name: 'End my presence everywhere' }).click();
  await page.locator('#state', { hasText: 'You are not present' }).waitFor();
}
