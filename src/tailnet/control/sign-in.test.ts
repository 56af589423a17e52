import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { silentLogger } from '../../base/log.ts';
import { type CoordinatorBed, hostOf, keyOf, openCoordinatorBed } from './coordinator-bed.fixture.ts';
import { SignInPages, SignIns, type SignInPerson, type Tailnet, userIn } from './index.ts';
import type { SignInRule } from './records.ts';
import { changeUser, removeUser, setSignInRules } from './users.ts';

const ORIGIN = 'https://gate.example.com';
const ALICE: SignInPerson = {
  subject: 's-alice',
  email: 'alice@example.com',
  name: 'Alice',
  groups: ['Engineering', 'Other'],
};
const RULE: SignInRule = {
  provider: 'acme',
  domains: ['example.com'],
  emails: [],
  groups: [],
  policyGroups: { Engineering: 'eng' },
};

interface Answer {
  readonly status: number;
  readonly html: string;
  readonly cookie: string;
  readonly headers: Record<string, string>;
}

interface Bed extends CoordinatorBed {
  person: SignInPerson;
  browse(
    method: string,
    url: string,
    more?: { form?: object; cookie?: string; host?: string },
  ): Promise<Answer>;
  /** A device that waits; its code. */
  wait(name: string, more?: object): string;
  /** As far as the question. */
  signIn(code: string, provider?: string): Promise<Answer & { readonly token: string }>;
  decide(code: string, asked: { cookie: string; token: string }, form?: object): Promise<Answer>;
}

async function openBed(): Promise<Bed> {
  const inner = await openCoordinatorBed();
  let states = 0;
  const provider = (id: string) => ({
    id,
    title: `<${id}>`,
    begin: (redirectUri: string) => {
      states += 1;
      const state = `state-${states}`;
      return Promise.resolve({
        url: `https://login.example.com/?state=${state}&to=${redirectUri}`,
        state,
        finish: () => Promise.resolve(bed.person),
      });
    },
  });
  const signIns = new SignIns({
    coordinator: inner.coordinator,
    providers: [provider('acme'), provider('other')],
  });
  const pages = new SignInPages({ signIns, origin: ORIGIN, logger: silentLogger });
  const bed: Bed = {
    ...inner,
    person: ALICE,
    browse: (method, url, { form, cookie, host = 'gate.example.com' } = {}) =>
      new Promise((resolve) => {
        const body = form === undefined ? [] : [Buffer.from(new URLSearchParams({ ...form }).toString())];
        const request = Object.assign(Readable.from(body), {
          method,
          url,
          headers: {
            host,
            ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
            ...(cookie === undefined ? {} : { cookie: `x=1; ${cookie}` }),
          },
          socket: { remoteAddress: '192.0.2.1' },
        });
        let head: [number, Record<string, string>] = [0, {}];
        const response = {
          writeHead: (status: number, headers: Record<string, string>) => (head = [status, headers]),
          end: (html: string) =>
            resolve({
              status: head[0],
              html,
              headers: head[1],
              cookie: head[1]['set-cookie']?.split(';', 1)[0] ?? '',
            }),
        };
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as much of a request and response as the pages look at
        assert.ok(pages.handleRequest(request as never, response as never));
      }),
    wait(name, more = {}) {
      const answer = inner.ask(keyOf(`m-${name}`), {
        nodeKey: keyOf(`n-${name}`),
        host: hostOf(name),
        ...more,
      });
      assert.equal(answer.type, 'login');
      return answer.type === 'login' ? answer.login.id : '';
    },
    async signIn(code, id = 'acme') {
      const begun = await bed.browse('POST', `/a/${code}/sign-in`, { form: { provider: id } });
      const state = /state=(state-\d+)/.exec(begun.html)?.[1] ?? '';
      const { cookie } = begun;
      const asked = await bed.browse('GET', `/a/-/callback?code=c&state=${state}`, { cookie });
      return { ...asked, cookie, token: /name="token" value="(\w+)"/.exec(asked.html)?.[1] ?? '' };
    },
    decide: (code, { cookie, token }, form = {}) =>
      bed.browse('POST', `/a/${code}/decide`, {
        cookie,
        form: { token, tailnet: 'home', answer: 'mine', ...form },
      }),
  };
  return bed;
}

async function open(bed: Bed, name: string, rule: Partial<SignInRule> = {}): Promise<Tailnet> {
  const tailnet = await bed.admin.createTailnet({ name, kind: 'people' });
  await setSignInRules(bed.coordinator, tailnet, {
    rules: [{ ...RULE, ...rule }],
    providers: ['acme', 'other'],
  });
  return tailnet;
}

describe('sign-in of people on the page of their device (DESIGN section 4)', () => {
  test('the page shows whose device it is, runs nothing, and escapes all that the device says', async () => {
    const bed = await openBed();
    const code = bed.wait('x', { host: hostOf('<script>alert(1)</script>') });
    const shown = await bed.browse('GET', `/a/${code}`);
    assert.doesNotMatch(shown.html, /<script|<acme>/);
    assert.match(shown.html, /Fingerprint.*[0-9a-f]{4}-[0-9a-f]{4}/);
    assert.match(shown.headers['content-security-policy'] ?? '', /default-src 'none'.*form-action 'self'/);
    const elsewhere = await bed.browse('GET', `/a/${code}`, { host: '192.0.2.2:8081' });
    assert.match(elsewhere.html, new RegExp(`href="${ORIGIN}/a/${code}"`));
    assert.doesNotMatch(elsewhere.html, /<form/);
  });

  test('signed in and confirmed, the device is the person’s, whose groups are the mapped ones', async () => {
    const bed = await openBed();
    const home = await open(bed, 'home');
    const code = bed.wait('laptop');
    const asked = await bed.signIn(code);
    assert.match(asked.html, /Is this your device\?.*alice@example\.com.*laptop/s);
    assert.equal(home.nodes().length, 0);
    const done = await bed.decide(code, asked);
    assert.match(done.html, /The device is in/);
    const user = userIn(home, 'alice@example.com');
    assert.deepEqual([user.role, user.groups, user.identity?.subject], ['member', ['eng'], 's-alice']);
    assert.equal(home.nodes()[0]?.userId, user.id);
    assert.equal((await bed.decide(code, asked)).status, 404);
  });

  test('the cookie is of this host, unreadable, over TLS only, and the answer is of its browser alone', async () => {
    const bed = await openBed();
    await open(bed, 'home');
    const code = bed.wait('laptop');
    const begun = await bed.browse('POST', `/a/${code}/sign-in`, { form: { provider: 'acme' } });
    assert.match(
      begun.headers['set-cookie'] ?? '',
      /^__Host-postern-sign-in=\w{40,}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600; Secure$/,
    );
    const state = /state=(state-\d+)/.exec(begun.html)?.[1] ?? '';
    const callback = `/a/-/callback?code=c&state=${state}`;
    for (const cookie of ['', '__Host-postern-sign-in=other'])
      assert.equal((await bed.browse('GET', callback, { cookie })).status, 404);
    assert.equal(
      (await bed.browse('GET', '/a/-/callback?code=c&state=x', { cookie: begun.cookie })).status,
      404,
    );
    const asked = await bed.browse('GET', callback, { cookie: begun.cookie });
    assert.equal(asked.status, 200);
    assert.equal((await bed.browse('GET', callback, { cookie: begun.cookie })).status, 404, 'once');
    const token = /name="token" value="(\w+)"/.exec(asked.html)?.[1] ?? '';
    assert.equal((await bed.decide(code, { cookie: '__Host-postern-sign-in=other', token })).status, 404);
    assert.equal((await bed.decide(bed.wait('evil'), { cookie: begun.cookie, token })).status, 404);
    assert.equal((await bed.decide(code, { cookie: begun.cookie, token })).status, 200);
  });

  test('nothing is written by GET, nor at another address, nor by a form that is none or too long', async () => {
    const bed = await openBed();
    const code = bed.wait('laptop');
    for (const step of ['sign-in', 'decide']) {
      assert.equal((await bed.browse('GET', `/a/${code}/${step}`)).status, 405);
      assert.equal((await bed.browse('POST', `/a/${code}/${step}`, { form: {}, host: 'evil' })).status, 421);
      assert.equal((await bed.browse('POST', `/a/${code}/${step}`)).status, 400);
      const long = { form: { provider: 'x'.repeat(5000) } };
      assert.equal((await bed.browse('POST', `/a/${code}/${step}`, long)).status, 400);
    }
    assert.equal(
      (await bed.browse('POST', `/a/${code}/sign-in`, { form: { provider: 'none' } })).status,
      404,
    );
  });

  test('whom no rule names is refused: stranger’s group, domain, provider; unverified address', async () => {
    const bed = await openBed();
    await open(bed, 'home', { domains: ['corp.example'], groups: ['Admins'] });
    for (const person of [ALICE, { ...ALICE, email: null, groups: ['Admins'] }]) {
      bed.person = person;
      assert.equal((await bed.signIn(bed.wait(`d-${person.email}`))).status, 403);
    }
    bed.person = { ...ALICE, groups: ['Admins'] };
    assert.equal((await bed.signIn(bed.wait('p'), 'other')).status, 403);
    assert.equal((await bed.signIn(bed.wait('q'))).status, 200);
  });

  test('several networks are a choice, and only of those that admit the person', async () => {
    const bed = await openBed();
    await open(bed, 'home');
    await open(bed, 'lab');
    const closed = await open(bed, 'closed', { domains: ['corp.example'] });
    const code = bed.wait('laptop');
    const asked = await bed.signIn(code);
    assert.match(asked.html, /value="home".*value="lab"/s);
    assert.doesNotMatch(asked.html, /closed/);
    assert.equal((await bed.decide(code, asked, { tailnet: 'closed' })).status, 404);
    assert.equal(closed.nodes().length, 0);
  });

  test('"not mine" turns the device away', async () => {
    const bed = await openBed();
    const home = await open(bed, 'home');
    const code = bed.wait('evil');
    assert.match((await bed.decide(code, await bed.signIn(code), { answer: 'other' })).html, /Turned away/);
    assert.equal(home.nodes().length, 0);
    assert.equal((await bed.browse('GET', `/a/${code}`)).status, 404);
  });

  test('a login belongs to the account that had it first, and a suspended one gets no device', async () => {
    const bed = await openBed();
    const home = await open(bed, 'home');
    const code = bed.wait('laptop');
    await bed.decide(code, await bed.signIn(code));
    bed.person = { ...ALICE, subject: 's-impostor' };
    assert.equal((await bed.signIn(bed.wait('two'))).status, 403);
    bed.person = ALICE;
    await changeUser(bed.coordinator, home, userIn(home, 'Alice@example.com'), { isSuspended: true });
    assert.equal(home.nodes().length, 0, 'their devices are cut');
    assert.equal((await bed.signIn(bed.wait('three'))).status, 403);
    await changeUser(bed.coordinator, home, userIn(home, 'alice@example.com'), { isSuspended: false });
    const asked = await bed.signIn(bed.wait('four'));
    assert.equal(asked.status, 200);
    await removeUser(bed.coordinator, home, userIn(home, 'alice@example.com'));
    assert.equal(home.users().length, 0);
    assert.deepEqual((await bed.reopen()).coordinator.tailnet(home.id)?.users(), []);
  });

  test('an expired key is renewed by the same person on the same node, and by nobody else', async () => {
    const bed = await openBed();
    const home = await open(bed, 'home');
    const code = bed.wait('laptop');
    await bed.decide(code, await bed.signIn(code));
    const [node] = home.nodes();
    bed.pass(181 * 86_400_000);
    const again = { nodeKey: keyOf('n2'), oldNodeKey: keyOf('n-laptop') };
    bed.person = { ...ALICE, subject: 's-bob', email: 'bob@example.com' };
    const other = bed.wait('laptop', again);
    assert.match((await bed.decide(other, await bed.signIn(other))).html, /belongs to somebody else/);
    bed.person = ALICE;
    const same = bed.wait('laptop', again);
    await bed.decide(same, await bed.signIn(same));
    assert.deepEqual([home.nodes().length, home.nodes()[0]?.id], [1, node?.id]);
    assert.ok((home.nodes()[0]?.keyExpiry ?? 0) > bed.coordinator.now());
  });

  test('device approval goes on to be an admin’s', async () => {
    const bed = await openBed();
    const home = await open(bed, 'home');
    await bed.admin.changeTailnet(home, { deviceApproval: true });
    const code = bed.wait('laptop');
    assert.match((await bed.decide(code, await bed.signIn(code))).html, /as soon as an admin approves/);
    assert.equal(home.nodes()[0]?.isAuthorized, false);
  });

  test('one address has 20 sign-ins under way, and again once they are forgotten', async () => {
    const bed = await openBed();
    const begin = (code: string) => bed.browse('POST', `/a/${code}/sign-in`, { form: { provider: 'acme' } });
    const code = bed.wait('laptop');
    for (let at = 0; at < 20; at += 1) assert.equal((await begin(code)).status, 200);
    assert.equal((await begin(code)).status, 429);
    bed.pass(11 * 60_000);
    assert.equal((await begin(code)).status, 200);
  });

  test('a tailnet of machines has neither rules nor sign-in', async () => {
    const bed = await openBed();
    const farm = await bed.add('farm', 'machines');
    const set = { rules: [RULE], providers: ['acme'] };
    await assert.rejects(
      setSignInRules(bed.coordinator, farm, set),
      /nobody signs in to a tailnet of machines/,
    );
    const answer = bed.ask(keyOf('m'), { nodeKey: keyOf('n'), tailnet: 'required:farm' });
    assert.equal(answer.type, 'refused');
  });

  const BAD: readonly (readonly [Partial<SignInRule>, RegExp])[] = [
    [{ provider: 'none' }, /no sign-in provider "none"/],
    [{ domains: [] }, /admits nobody/],
    [{ domains: ['*.com'] }, /a domain is like/],
    [{ emails: ['x'] }, /a mail address is like/],
    [{ groups: [''] }, /1 to 200 characters/],
    [{ policyGroups: { a: 'group:x y' } }, /without "group:"/],
    [{ emails: Array.from({ length: 501 }, (_, at) => `a${at}@x.com`) }, /at most 500/],
  ];
  for (const [rule, why] of BAD)
    test(`a rule is refused: ${why.source}`, async () => {
      const bed = await openBed();
      await assert.rejects(open(bed, 'home', rule), why);
    });

  test('the only owner can be neither suspended, removed nor made less', async () => {
    const bed = await openBed();
    const home = await open(bed, 'home');
    const user = await bed.admin.addUser(home, { login: 'o@x.com', displayName: 'O', role: 'owner' });
    const only = /only owner/;
    await assert.rejects(removeUser(bed.coordinator, home, user), only);
    await assert.rejects(changeUser(bed.coordinator, home, user, { isSuspended: true }), only);
    await assert.rejects(changeUser(bed.coordinator, home, user, { role: 'member' }), only);
    assert.throws(() => userIn(home, 'nobody@x.com'), /no such user/);
  });
});
