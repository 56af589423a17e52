import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestFilter, RequestRow } from '../store/shapes.ts';
import { readKeyImpact } from './key-impact.ts';
import type { ApiDependencies, KeyView } from './ports.ts';
import { caller, requestRow, startTestApi } from './test-api.ts';

function keyView(id: string, more: Partial<KeyView> = {}): KeyView {
  return {
    id,
    provider: 'openai',
    name: 'n',
    state: 'active',
    origin: 'https://api.openai.com',
    header: 'bearer',
    hint: '…abcd',
    source: 'store',
    createdAt: 0,
    createdBy: 'operator',
    lastUsedAt: null,
    uses: 0,
    failures: 0,
    lastError: null,
    cooldownUntil: null,
    ...more,
  };
}

type Parts = Parameters<typeof readKeyImpact>[0];

/** A log in pages of 500, as the store gives it. */
function parts(
  rows: readonly RequestRow[],
  keys: readonly KeyView[],
  open?: Parts['openExchanges'],
): Parts & { asked: RequestFilter[] } {
  const asked: RequestFilter[] = [];
  const listRequests: ApiDependencies['store']['listRequests'] = async (filter, page) => {
    asked.push(filter);
    const from = Number(page.cursor ?? '0');
    const next = from + page.limit;
    return { items: rows.slice(from, next), nextCursor: next < rows.length ? String(next) : null };
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the rest of both is not asked for
  const fakes = { store: { listRequests }, vault: { list: () => keys } } as unknown as Pick<
    Parts,
    'store' | 'vault'
  >;
  return { ...fakes, asked, tailnet: 'home', ...(open === undefined ? {} : { openExchanges: open }) };
}

const TIME = { from: 1_000, to: 2_000 };

test('sums what each caller did with the key, over all pages, and nothing of other keys', async () => {
  const rows = Array.from({ length: 1_100 }, (_, i) =>
    requestRow(`r${i}`, i % 10 === 0 ? 'user:b' : 'user:a', {
      keyId: i % 2 === 0 ? 'key_1' : 'key_2',
      provider: 'openai',
      deviceName: `laptop-${i % 3}`,
      agent: 'codex',
      startedAt: 1_000 + i,
    }),
  );
  const given = parts(rows, [keyView('key_1')]);
  const impact = await readKeyImpact(given, keyView('key_1'), TIME);
  assert.equal(impact.complete, true);
  assert.equal(impact.total.requests, 550);
  assert.equal(impact.total.costNanoUsd, 550 * 5);
  assert.deepEqual(
    impact.callers.map(({ principal, requests, lastAt }) => [principal, requests, lastAt]),
    [
      ['user:a', 440, 2_098],
      ['user:b', 110, 2_090],
    ],
  );
  assert.deepEqual([...(impact.callers[0]?.devices ?? [])].toSorted(), ['laptop-0', 'laptop-1', 'laptop-2']);
  assert.deepEqual(given.asked[0], { tailnet: 'home', provider: 'openai', ...TIME });
});

test('says when there was more than is read', async () => {
  const row = requestRow('r', 'user:a', { keyId: 'key_1' });
  const endless = parts(
    Array.from({ length: 20_001 }, () => row),
    [],
  );
  const impact = await readKeyImpact(endless, keyView('key_1'), TIME);
  assert.equal(impact.complete, false);
  assert.equal(endless.asked.length, 40);
});

test('a provider is left without a key only if no other active and readable one of its origin is there', async () => {
  const key = keyView('key_1');
  const alone = await readKeyImpact(
    parts(
      [],
      [
        key,
        keyView('key_2', { state: 'staged' }),
        keyView('key_3', { source: 'unreadable' }),
        keyView('key_4', { origin: 'https://other.test' }),
      ],
    ),
    key,
    TIME,
  );
  assert.deepEqual([alone.withoutKey, alone.instead], [['openai'], []]);
  const two = await readKeyImpact(parts([], [key, keyView('key_5')]), key, TIME);
  assert.deepEqual([two.withoutKey, two.instead], [[], ['key_5']]);
  const retired = await readKeyImpact(parts([], []), keyView('key_1', { state: 'retired' }), TIME);
  assert.deepEqual(retired.withoutKey, []);
});

test('counts what is under way with the key now', async () => {
  const open = [
    { keyId: 'key_1', principal: 'user:a', model: 'm' },
    { keyId: 'key_1', principal: 'user:a', model: 'm' },
    { keyId: 'key_2', principal: 'user:b', model: 'm' },
  ];
  const impact = await readKeyImpact(
    parts([], [], () => open),
    keyView('key_1'),
    TIME,
  );
  assert.deepEqual(impact.open, { exchanges: 2, principals: ['user:a'] });
  assert.equal((await readKeyImpact(parts([], []), keyView('key_1'), TIME)).open, null);
});

test('GET /api/v1/keys/{id}/impact is for auditors and admins, and 404 for no key', async () => {
  const { send, world, close } = await startTestApi();
  try {
    world.keys.push(keyView('key_1'));
    world.access.set('user:auditor', { roles: new Set(['user', 'auditor']) });
    world.access.set('user:plain', { roles: new Set(['user']) });
    world.store.rows.push(requestRow('r1', 'user:a'));
    const path = '/api/v1/keys/key_1/impact';
    const answer = await send(caller('user:auditor'), 'GET', path);
    assert.equal(answer.status, 200);
    assert.equal(answer.json['requests'], 1);
    assert.equal(answer.json['complete'], true);
    assert.equal(answer.json['open'], null);
    assert.deepEqual(answer.json['providers_without_key'], ['openai']);
    assert.equal(
      Date.parse(String(answer.json['to'])) - Date.parse(String(answer.json['from'])),
      30 * 86_400_000,
    );
    assert.equal((await send(caller('user:plain'), 'GET', path)).status, 403);
    assert.equal((await send(caller('user:auditor'), 'GET', '/api/v1/keys/none/impact')).status, 404);
    for (const days of ['0', '367', 'x'])
      assert.equal((await send(caller('user:auditor'), 'GET', `${path}?days=${days}`)).status, 400, days);
  } finally {
    await close();
  }
});
