/** An object stays with the key that it was made with, through rotations, and ends with it (DESIGN section 6). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerOf, type FakeUpstream } from '../upstream/index.ts';
import { addKey, post, startClaimedScene } from './administration.ts';

test('a rotated key goes on serving the objects that were made with it; a revoked one no more', async (t) => {
  const { upstream, postern, presence, keyIds } = await startClaimedScene(t, { upstream: { strict: false } });
  const made = await postern.call('/v1/responses', { body: { model: 'gpt-5', input: 'hi' } });
  const id = String(made.json()['id']);
  const next = await addKey(postern, presence, { provider: 'openai', secret: 'sk-next', state: 'staged' });
  assert.equal((await post(postern, `/api/v1/keys/${next}/promote`, {}, presence)).status, 200);

  const uses: readonly (() => Promise<{ readonly status: number }>)[] = [
    () => postern.call(`/v1/responses/${id}`),
    () =>
      postern.call('/v1/responses', { body: { model: 'gpt-5', input: 'go on', previous_response_id: id } }),
  ];
  for (const use of uses) {
    assert.equal((await use()).status, 200);
    assert.equal(keyUsed(upstream), 'Bearer sk-fake-openai');
  }
  assert.equal((await postern.call('/v1/responses', { body: { model: 'gpt-5', input: 'new' } })).status, 200);
  assert.equal(keyUsed(upstream), 'Bearer sk-next');

  assert.equal((await post(postern, `/api/v1/keys/${keyIds.openai}/revoke`, {}, presence)).status, 200);
  const count = upstream.requests.length;
  const gone = await postern.call(`/v1/responses/${id}`);
  assert.equal(gone.headers['x-postern-reason'], 'key_missing', gone.text);
  assert.equal(upstream.requests.length, count);
});

function keyUsed(upstream: FakeUpstream): string | null {
  const last = upstream.requests.at(-1);
  return last === undefined ? null : headerOf(last, 'authorization');
}
