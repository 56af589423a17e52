/** What the console asks of a running Postern: each page's data, of real traffic, through the API. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startClaimedScene, type ClaimedScene } from './administration.ts';
import { suiteEnd, type Reply } from './harness.ts';

type Item = Record<string, unknown>;

const MESSAGES = [{ role: 'user', content: 'hello there' }];
const ANTHROPIC = { 'anthropic-version': '2023-06-01' };

function itemsOf(reply: Reply): Item[] {
  assert.equal(reply.status, 200, reply.text);
  return reply.json()['items'] as Item[];
}

describe('the console sees and decides by the API (issue 4)', () => {
  const suite = suiteEnd();
  let scene: ClaimedScene;
  const get = (path: string): Promise<Reply> => scene.postern.call(path);
  const post = (
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> => scene.postern.call(path, { body, headers });

  before(async () => {
    scene = await startClaimedScene(suite);
    const headers = { ...ANTHROPIC, 'x-postern-session': 'talk' };
    const first = { model: 'claude-sonnet-4-5', max_tokens: 50, messages: MESSAGES };
    const one = await post('/v1/messages', first, headers);
    assert.equal(one.status, 200, one.text);
    const said = one.json()['content'];
    const second = {
      ...first,
      stream: true,
      messages: [...MESSAGES, { role: 'assistant', content: said }, { role: 'user', content: 'go on' }],
    };
    assert.equal((await post('/v1/messages', second, headers)).status, 200);
    await post('/v1/chat/completions', { model: 'no-such-model', messages: MESSAGES });
    await scene.postern.requests(3);
  });
  after(() => suite.end());

  test('a session is read as turns, of which the second shows only what it adds', async () => {
    const [session] = itemsOf(await get('/api/v1/sessions?session=talk'));
    assert.deepEqual([session?.['id'], session?.['requests'], session?.['state']], ['talk', 2, 'running']);
    const detail = (await get('/api/v1/sessions/talk')).json();
    assert.deepEqual([detail['content'], detail['complete']], ['own', true]);
    const reply = await get('/api/v1/sessions/talk/turns?limit=1');
    assert.deepEqual([reply.json()['total'], reply.json()['next_cursor']], [2, '1']);
    const [first] = itemsOf(reply);
    const [second] = itemsOf(await get('/api/v1/sessions/talk/turns?limit=1&cursor=1'));
    assert.equal(first?.['content'], 'kept', JSON.stringify(first));
    assert.deepEqual(
      [second?.['number'], second?.['parent'], second?.['shared_messages'], second?.['repeated']],
      [2, Object(first['request'])['id'], 1, 1],
    );
    const answer = first['answer'] as Item & { blocks: Item[] };
    assert.deepEqual([answer.blocks[0]?.['type'], answer['cut'], answer['error']], ['text', false, null]);
    const messages = second?.['messages'] as { role: string; blocks: Item[] }[];
    assert.deepEqual(
      messages.map(({ role }) => role),
      ['assistant', 'user'],
    );
    assert.equal(Object(second?.['answer'])['cut'], false, 'the stream came to its end');
    const item = String(messages[1]?.blocks[0]?.['item']);
    assert.equal(
      (await get(`/api/v1/sessions/talk/items/${encodeURIComponent(item)}`)).json()['text'],
      'go on',
    );
    const [found] = itemsOf(await get('/api/v1/sessions/talk/search?q=GO%20ON'));
    assert.equal(found?.['item'], item);
    const lines = (await get('/api/v1/sessions/talk/export')).text.trim().split('\n');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as Item)['number']),
      [1, 2],
    );
    assert.match(
      (await get('/api/v1/sessions/talk/export?format=markdown')).text,
      /^# Session talk\n\n## 1\./,
    );
    assert.equal((await get('/api/v1/sessions/nobody/turns')).status, 404);
  });

  test('requests narrow by what was decided, and tell their trail and conversation', async () => {
    const [refused] = itemsOf(await get('/api/v1/requests?status=4xx&q=no-such'));
    assert.equal(refused?.['reason'], 'model_not_available');
    assert.deepEqual(itemsOf(await get('/api/v1/requests?status=5xx')), []);
    const trail = (await get(`/api/v1/requests/${String(refused?.['id'])}/trail`)).json()['steps'] as Item[];
    assert.deepEqual(
      trail.map(({ step, state }) => `${String(step)} ${String(state)}`),
      [
        'identify passed',
        'authorize passed',
        'route refused',
        'reserve skipped',
        'guard skipped',
        'forward skipped',
        'inspect skipped',
        'settle passed',
        'record passed',
      ],
    );
    const [good] = itemsOf(await get('/api/v1/requests?session=talk&min_latency_ms=0'));
    const talk = (await get(`/api/v1/requests/${String(good?.['id'])}/conversation`)).json();
    assert.equal((talk['messages'] as Item[]).length, 3);
    const summary = (await get('/api/v1/requests/summary')).json();
    assert.deepEqual([summary['requests'], summary['refused']], [3, 1]);
    for (const query of ['status=9', 'status=6xx', 'about=x', 'min_latency_ms=-1', 'q='])
      assert.equal((await get(`/api/v1/requests?${query}`)).status, query === 'status=9' ? 200 : 400, query);
  });

  test('usage compares, counts people, and looks ahead', async () => {
    const compared = (await get('/api/v1/usage/compare?group_by=model')).json();
    const [item] = compared['items'] as Item[];
    assert.equal(Object(item?.['key'])['model'], 'claude-sonnet-4-5');
    assert.equal(item?.['previous'], null);
    const adoption = (await get('/api/v1/usage/adoption')).json();
    assert.equal((adoption['total'] as Item)['users'], 1);
    assert.equal((adoption['items'] as Item[]).length, 1);
    const forecast = (await get('/api/v1/usage/forecast?tz=Europe/Berlin')).json();
    assert.ok(Number(forecast['projected_nano_usd']) >= Number(forecast['spent_nano_usd']));
    assert.equal((await get('/api/v1/usage/savings')).status, 200);
    assert.match((await get('/api/v1/usage?group_by=total&format=csv')).text, /^requests,refused/);
    assert.equal((await get('/api/v1/usage/forecast?tz=Mars')).status, 400);
  });

  test('providers tell how they do, and a test with presence asks one for its models', async () => {
    const providers = itemsOf(await get('/api/v1/providers'));
    const anthropic = providers.find(({ id }) => id === 'anthropic');
    assert.deepEqual([anthropic?.['requests'], anthropic?.['state']], [2, 'ok']);
    assert.equal(Object(anthropic?.['keys']).length, 1);
    const path = '/api/v1/providers/anthropic/test';
    assert.equal((await post(path, {})).json()['code'], 'presence_required');
    const tested = (await post(path, {}, scene.presence)).json();
    assert.equal(tested['key_id'], scene.keyIds.anthropic);
    assert.deepEqual([tested['ok'], tested['stage'], scene.upstream.violations], [true, 'ok', []]);
    assert.equal(
      (await post('/api/v1/providers/none/test', {}, scene.presence)).json()['code'],
      'unknown_provider',
    );
    const foreign = { key_id: scene.keyIds.openai };
    assert.equal((await post(path, foreign, scene.presence)).status, 404);
    const [entry] = itemsOf(await get('/api/v1/audit?action=provider.&q=anthropic'));
    assert.equal(entry?.['action'], 'provider.test');
  });

  test('the playground uses a model as its caller, in the dialect, and is recorded as such', async () => {
    const body = { model: 'claude-sonnet-4-5', max_tokens: 5, messages: MESSAGES };
    const reply = await post('/api/v1/playground/v1/messages', body, { ...ANTHROPIC, cookie: 'postern=x' });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json()['type'], 'message');
    const id = String(reply.headers['x-postern-request-id']);
    await scene.postern.requests(4);
    const row = (await get(`/api/v1/requests/${id}`)).json();
    assert.deepEqual(
      [row['agent'], row['path'], row['principal']],
      ['playground', '/v1/messages', scene.postern.me],
    );
    const upstream = scene.upstream.requests.at(-1);
    assert.ok(
      !JSON.stringify(upstream?.rawHeaders).includes('postern'),
      'nothing of the console goes upstream',
    );
    const streamed = await post('/api/v1/playground/v1/messages', { ...body, stream: true }, ANTHROPIC);
    assert.match(String(streamed.headers['content-type']), /event-stream/);
    assert.match(streamed.text, /message_stop/);
    const refused = await post('/api/v1/playground/v1/messages', { ...body, model: 'none' }, ANTHROPIC);
    assert.deepEqual([refused.status, refused.headers['x-postern-reason']], [404, 'model_not_available']);
    const lost = await post('/api/v1/playground/nowhere', body);
    assert.equal(lost.headers['x-postern-reason'], 'path_unknown');
    const foreign = await post('/api/v1/playground/v1/messages', body, { origin: 'https://evil.example' });
    assert.equal(foreign.status, 403);
    const form = await post('/api/v1/playground/v1/messages', body, { 'content-type': 'text/plain' });
    assert.equal(form.status, 415);
  });

  test('a draft is edited by path, shown as a diff, and saved by the way of every save', async () => {
    const { version, text } = (await get('/api/v1/config')).json();
    const edits = [{ path: ['quotas', 'day'], value: { capacity: '$5', window: 'day' } }];
    const edited = (await post('/api/v1/config/edit', { base_version: version, edits })).json();
    assert.match(String(edited['diff']), /\+.*"day"/);
    assert.equal((await get('/api/v1/config')).json()['text'], text, 'nothing is saved');
    assert.equal((await post('/api/v1/config/diff', { text })).json()['diff'], '');
    const stale = await post('/api/v1/config/edit', { base_version: 99, edits });
    assert.equal(stale.json()['code'], 'precondition_failed');
    const wrong = await post('/api/v1/config/edit', { edits: [{ path: ['none'], remove: true }] });
    assert.equal(wrong.json()['code'], 'invalid_request');
    const broken = await post('/api/v1/config/edit', { text: '{', edits });
    assert.equal(broken.json()['code'], 'invalid_request');
    assert.equal((await get('/api/v1/config/schema')).json()['title'], 'Postern gateway document');
  });

  test('settings, doctor, about, hooks and retention say what holds, and no secret', async () => {
    const settings = await get('/api/v1/settings');
    const byName = new Map(itemsOf(settings).map((item) => [item['name'], item]));
    assert.equal(byName.get('stateDir')?.['origin'], 'flag');
    assert.deepEqual(byName.get('allowUpstream')?.['value'], ['127.0.0.0/8']);
    assert.equal(byName.get('masterKey')?.['value'], null);
    const doctor = (await get('/api/v1/doctor')).json();
    assert.ok((doctor['findings'] as Item[]).some(({ check }) => check === 'store'));
    const about = (await get('/api/v1/about')).json();
    assert.ok(Number((about['store'] as Item)['requests']) >= 3);
    assert.equal(about['demo'], false);
    assert.deepEqual((await get('/api/v1/hooks')).json()['hooks'], []);
    assert.deepEqual(itemsOf(await get('/api/v1/hooks/dead-letters')), []);
    assert.equal((await get('/api/v1/retention')).json()['document'], null);
  });

  test('the audit log is exported, which is recorded, too', async () => {
    const lines = (await get('/api/v1/audit/export?action=key.')).text.trim().split('\n');
    assert.equal(lines.length, 3);
    assert.match((await get('/api/v1/audit/export?format=csv')).text, /^seq,at,actor/);
    const actions = itemsOf(await get('/api/v1/audit/actions'));
    assert.equal(actions.find(({ action }) => action === 'audit.export')?.['entries'], 2);
    assert.equal((await get('/api/v1/audit/verify')).json()['broken_at'], null);
  });
});
