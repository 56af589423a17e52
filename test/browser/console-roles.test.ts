/**
 * What each role sees and may do (issue 4; DESIGN section 5): as a user, the lead of a group, an
 * approver, an auditor. Each journey ends at the API or with a call of an SDK.
 */
import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { MAY_BE_OTHER, OTHER_PRINCIPAL } from '../scenarios/other-user.ts';
import { launchChromium, waitUntil, type WatchedPage } from './browser.ts';
import {
  checkPage,
  type ConsoleScene,
  type ConsoleSceneOptions,
  givePasskey,
  LED_GROUP,
  openConsole,
  showPresence,
  startConsoleScene,
} from './console-scene.ts';
import { openAsOther } from './other-person.ts';
import { statusOfCall } from './sdk-call.ts';

const VIEWER = `local:${userInfo().uid}`;
const grant = (src: string, capability: object): object => ({
  src: [src],
  app: { 'postern.dev/cap/gateway': [capability] },
});

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

async function open(
  t: TestContext,
  options: ConsoleSceneOptions,
): Promise<{ scene: ConsoleScene; watched: WatchedPage }> {
  const scene = await startConsoleScene(options);
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene);
  t.after(() => watched.close());
  return { scene, watched };
}

async function recorded(
  scene: ConsoleScene,
  count: number,
): Promise<readonly { id: string; principal: string }[]> {
  let items: { id: string; principal: string }[] = [];
  await waitUntil(async () => {
    items = Object((await scene.asOperator('GET', '/api/v1/requests')).json).items;
    return items.length >= count;
  });
  return items;
}

const places = ({ page }: WatchedPage): Promise<string[]> =>
  page.getByRole('navigation', { name: 'Places' }).getByRole('link').allInnerTexts();

/** Words of buttons that change something for others; none of them is for who only looks. */
const CHANGES =
  /^(?:Add|Remove|Revoke|Retire|Promote|Test|Save|Review and save|Deliver again|Refill|Approve|Deny|Go back|Put it|Rotate|Stage|Actions of|Edit)/;

describe('roles', () => {
  test('a user sees their own usage and records, and the API gives them no others', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'user' });
    const token = await scene.mint('service:agent');
    assert.equal(await statusOfCall(scene.url, 'gpt-5'), 200);
    assert.equal(await statusOfCall(scene.url, 'gpt-5', token), 200);
    const rows = await recorded(scene, 2);
    const { page } = watched;
    await page.goto(`${scene.url}/usage?range=24h`);
    await page.getByRole('heading', { name: 'Usage and cost' }).waitFor();
    await page.getByText('Requests').first().waitFor();
    assert.equal(await page.getByRole('button', { name: /Whose/ }).count(), 0);
    await page.goto(`${scene.url}/requests?whose=all`);
    const table = page.getByRole('table', { name: 'Requests' });
    await table.locator('tbody tr').first().waitFor();
    assert.equal(await table.locator('tbody tr').count(), 1);
    const usage = await scene.asViewer('GET', '/api/v1/usage?group_by=total');
    assert.equal(Object(usage.json).items[0].requests, 1);
    const other = rows.find(({ principal }) => principal !== VIEWER) ?? assert.fail();
    for (const path of [
      '/api/v1/requests?principal=service:agent',
      '/api/v1/usage?principal=service:agent&group_by=total',
      `/api/v1/requests/${other.id}`,
      '/api/v1/budgets?of=all',
      '/api/v1/providers',
      '/api/v1/audit?actor=operator',
      '/api/v1/devices',
      '/api/v1/config',
    ]) {
      const { status } = await scene.asViewer('GET', path);
      assert.ok(status === 403 || status === 404, `${path}: ${status}`);
    }
    const shown = [
      ['/providers', 'For auditors and admins'],
      ['/audit', 'For auditors and admins'],
      ['/devices', 'For auditors and admins'],
      ['/policy', 'An admin can grant you the role for this.'],
      [`/requests/${other.id}`, 'it is not yours to see'],
    ] as const;
    for (const [path, text] of shown) {
      await page.goto(scene.url + path);
      await page.getByText(text).waitFor();
    }
    assert.deepEqual(await places(watched), [
      'Home',
      'Live',
      'Requests',
      'Sessions',
      'Usage and cost',
      'Approvals',
      'Playground',
      'Settings',
    ]);
  });

  test(
    'a user asks for a model, another person approves it in their own browser, and the next call of the SDK passes',
    { skip: !MAY_BE_OTHER && 'only root may be somebody else' },
    async (t) => {
      const { scene, watched } = await open(t, {
        signInAs: 'user',
        isStored: true,
        capability: { models: 'anthropic/*' },
        grants: [grant(OTHER_PRINCIPAL, { role: 'approver' }), grant('olga@example.com', { role: 'admin' })],
      });
      // Whoever starts a server without a document may use every model; here that would hide the refusal.
      await scene.asOperator('DELETE', `/api/v1/admins/${VIEWER}?role=user`);
      const approver = await openAsOther(browser, scene.url);
      t.after(() => approver.close());
      await givePasskey(approver, scene);
      assert.equal(await statusOfCall(scene.url, 'openai/gpt-5'), 404);

      const { page } = watched;
      await page.goto(`${scene.url}/approvals?ask=model&model=openai%2Fgpt-5`);
      const dialog = page.getByRole('dialog', { name: 'Ask for more' });
      await dialog.getByLabel('Why').fill('the migration needs it');
      await dialog.getByRole('button', { name: 'Ask', exact: true }).click();
      await page.getByRole('table', { name: 'What you asked for' }).waitFor();
      const asked = async (): Promise<Record<string, unknown>> =>
        Object(Object((await scene.asOperator('GET', '/api/v1/approvals')).json).items[0]);
      assert.equal((await asked())['state'], 'pending');

      await approver.page.goto(`${scene.url}/approvals`);
      await approver.page.getByRole('link', { name: 'Look and decide' }).click();
      await showPresence(approver);
      await approver.page.getByText('the migration needs it').first().waitFor();
      assert.equal(await statusOfCall(scene.url, 'openai/gpt-5'), 404);
      await approver.page.getByRole('button', { name: 'Approve', exact: true }).click();
      await waitUntil(async () => (await asked())['state'] !== 'pending');
      assert.equal(Object(Object(await asked())['votes'])[0].by, OTHER_PRINCIPAL);
      // The vote is told before its grant is in force.
      await waitUntil(async () => (await statusOfCall(scene.url, 'openai/gpt-5')) === 200);
      assert.equal(await statusOfCall(scene.url, 'openai/gpt-4o'), 404);
      await page.getByText('approved').first().waitFor();
      assert.deepEqual([...watched.faults, ...approver.faults], []);
    },
  );

  test(
    'an approver is not offered what they asked themselves; another one is, and sees who asks',
    { skip: !MAY_BE_OTHER && 'only root may be somebody else' },
    async (t) => {
      const { scene, watched } = await open(t, {
        signInAs: 'approver',
        capability: { models: 'anthropic/*' },
        grants: [grant(OTHER_PRINCIPAL, { role: 'approver' })],
      });
      const body = { kind: 'model', model: 'openai/gpt-5', reason: 'for myself' };
      const made = await scene.asViewer('POST', '/api/v1/approvals', body);
      assert.equal(made.status, 202, made.text);
      const id = String(Object(made.json).id);
      await givePasskey(watched, scene);
      await watched.page.goto(`${scene.url}/approvals/${id}`);
      await watched.page.getByText('You asked for this yourself, so somebody else decides.').waitFor();
      assert.equal(await watched.page.getByRole('button', { name: /Approve|Deny/ }).count(), 0);

      const other = await openAsOther(browser, scene.url, `/approvals/${id}`);
      t.after(() => other.close());
      await other.page.getByRole('button', { name: 'Show the whole call' }).waitFor();
      assert.match(await other.page.locator('main').innerText(), new RegExp(`root|${VIEWER}`));
      await checkPage(other);
      assert.equal(Object((await scene.asOperator('GET', `/api/v1/approvals/${id}`)).json).state, 'pending');
    },
  );

  test('a lead sees what the group used and what is left of its budgets, and of no other group', async (t) => {
    const { scene, watched } = await open(t, {
      signInAs: 'lead',
      members: ['service:agent'],
      grants: [
        grant('service:agent', { role: 'user', models: '**', quotas: [{ bucket: `team:${LED_GROUP}` }] }),
        grant('service:other', { role: 'user', models: '**', quotas: [{ bucket: 'team:other' }] }),
      ],
      more: {
        quotas: {
          [`team:${LED_GROUP}`]: { unit: 'requests', capacity: 10, rate: '10/day' },
          'team:other': { unit: 'requests', capacity: 10, rate: '10/day' },
        },
      },
    });
    for (const owner of ['service:agent', 'service:other'])
      assert.equal(await statusOfCall(scene.url, 'gpt-5', await scene.mint(owner)), 200, owner);
    await recorded(scene, 2);
    const { page } = watched;
    await page.goto(`${scene.url}/usage?by=user&measure=requests&range=24h`);
    const main = page.locator('main');
    await main.getByText('service:agent').first().waitFor();
    assert.doesNotMatch(await main.innerText(), /service:other/);
    await checkPage(watched);
    await page.goto(`${scene.url}/requests?whose=${encodeURIComponent(LED_GROUP)}`);
    const rows = page.getByRole('table', { name: 'Requests' }).locator('tbody tr');
    await rows.first().waitFor();
    assert.equal(await rows.count(), 1);
    const usage = await scene.asViewer('GET', `/api/v1/usage?group=${LED_GROUP}&group_by=user`);
    assert.equal(Object(usage.json).items.length, 1);
    const budgets = await scene.asViewer('GET', `/api/v1/budgets?group=${LED_GROUP}`);
    assert.equal(budgets.status, 200, budgets.text);
    for (const path of [
      '/api/v1/usage?group=group:other&group_by=total',
      '/api/v1/usage?group_by=user&principal=service:other',
      '/api/v1/requests?group=group:other',
      '/api/v1/budgets?group=group:other',
      '/api/v1/budgets?of=all',
    ])
      assert.equal((await scene.asViewer('GET', path)).status, 403, path);
  });

  test('an auditor looks at everything and may change nothing: no page has a control for it, and the API refuses', async (t) => {
    const { scene, watched } = await open(t, {
      signInAs: 'auditor',
      isStored: true,
      env: { POSTERN_NODE: 'true', POSTERN_NODE_UDP_PORT: '0' },
      grants: [grant('olga@example.com', { role: 'admin' })],
      more: { hooks: { audit: { url: 'http://127.0.0.1:9/hook', mode: 'monitor' } } },
    });
    const key = await scene.asOperator('GET', '/api/v1/keys');
    const keyId = String(Object(key.json).items[0].id);
    const token = Object(
      (await scene.asOperator('POST', '/api/v1/tokens', { name: 'x', owner: 'service:agent' })).json,
    ).id;
    const device = Object((await scene.asOperator('POST', '/api/v1/devices', { name: 'phone' })).json).id;
    const document = Object((await scene.asOperator('GET', '/api/v1/config')).json);
    const { page } = watched;
    for (const [path, mark] of [
      ['/providers', 'openai'],
      [`/devices?device=${device}`, 'A grant for this device alone'],
      ['/policy', 'Read-only for you'],
      ['/policy?tab=form', 'Providers'],
      ['/policy?tab=versions', 'Version'],
      ['/audit', 'device.add'],
      ['/settings/admins', 'Grants outside of the document'],
      ['/settings/hooks', 'not called yet'],
      ['/settings/retention', 'Retention'],
    ] as const) {
      await page.goto(scene.url + path);
      await page.getByText(mark).first().waitFor();
      assert.deepEqual(await changesOffered(watched), [], path);
    }
    const changes: readonly (readonly [string, string, object?, Record<string, string>?])[] = [
      ['PUT', '/api/v1/config', { text: document.text }, { 'if-match': document.etag }],
      ['POST', '/api/v1/config/rollback', { version: 1 }],
      ['POST', '/api/v1/config/edit', { base_version: document.version, edits: [] }],
      ['POST', '/api/v1/keys', { provider: 'openai', name: 'n', secret: 'sk-0123456789' }],
      ...['promote', 'retire', 'revoke'].map(
        (step) => ['POST', `/api/v1/keys/${keyId}/${step}`, {}] as const,
      ),
      ['POST', '/api/v1/providers/openai/test', {}],
      ['POST', '/api/v1/devices', { name: 'laptop' }],
      ['DELETE', `/api/v1/devices/${device}`],
      ['DELETE', `/api/v1/tokens/${token}`],
      ['POST', '/api/v1/tokens', { name: 'mine', scopes: ['admin'] }],
      ['POST', '/api/v1/budgets/refill', { bucket: 'b', amount: '$1.00' }],
      ['POST', '/api/v1/hooks/dead-letters/1/retry', {}],
      ['DELETE', '/api/v1/admins/olga@example.com'],
    ];
    for (const [method, path, body, headers] of changes) {
      const answer = await scene.asViewer(method, path, body, headers);
      const code = String(Object(answer.json).code);
      assert.ok(
        ['role_missing', 'not_yours', 'not_found'].includes(code),
        `${method} ${path}: ${answer.text}`,
      );
    }
    const unchanged = Object((await scene.asOperator('GET', '/api/v1/config')).json);
    assert.deepEqual([unchanged.version, unchanged.text], [document.version, document.text]);
    const keys = Object((await scene.asOperator('GET', '/api/v1/keys')).json).items;
    const status = await scene.asViewer('GET', '/api/v1/status');
    assert.equal(Object(status.json).claimed, true, 'the document grants somebody the role admin');
    assert.deepEqual([keys.length, keys[0].state], [Object(key.json).items.length, 'active']);
    assert.deepEqual(watched.faults, []);
  });
});

/** Names of buttons in the page and what lies over it that would change something. */
async function changesOffered({ page }: WatchedPage): Promise<string[]> {
  const names: string[] = [];
  for (const button of await page.locator('main button, [role=dialog] button').all()) {
    const name = (await button.getAttribute('aria-label')) ?? (await button.innerText());
    if (CHANGES.test(name.trim()) && (await button.isEnabled())) names.push(name);
  }
  return names;
}
