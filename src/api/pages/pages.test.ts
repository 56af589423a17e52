import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createContext, Script } from 'node:vm';
import fc from 'fast-check';
import '../../../test/property-seed.ts';
import { caller, requestRow, startTestApi, type TestApi } from '../test-api.ts';
import { spread, visible } from './browser/approval-texts.ts';
import { durations, editBody, scopeBody } from './browser/approval-decisions.ts';
import { APPROVALS, CLAIM, HOME, PRESENCE } from './markup.ts';
import { browserScripts } from './scripts.ts';

const user = caller('local:1');
const HOSTILE = '<img src=x onerror=alert(1)>';

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
});
afterEach(() => t.close());

describe('pages (DESIGN section 4)', () => {
  test('a page admits its own script and style by a fresh nonce, and nothing else', async () => {
    const nonces = new Set<string>();
    for (const path of ['/', '/claim', '/presence', '/approvals', '/approvals/apr_1', '/']) {
      const page = await t.send(user, 'GET', path);
      const policy = String(page.headers['content-security-policy']);
      const nonce = /script-src 'nonce-(\w{32})'/.exec(policy)?.[1] ?? '';
      nonces.add(nonce);
      assert.match(
        policy,
        /^default-src 'none'; .*base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'/,
      );
      assert.doesNotMatch(policy, /unsafe|'self'[^;]*script|\*/);
      assert.equal(page.text.split(`nonce="${nonce}"`).length, 3, path);
      assert.equal([...page.text.matchAll(/<script|<link rel="stylesheet"/g)].length, 2, path);
    }
    assert.equal(nonces.size, 6);
  });

  test('no page names another site, runs inline code or holds anything of anybody', async () => {
    for (const path of ['/', '/claim', '/presence', '/approvals/apr_1']) {
      const { text } = await t.send(user, 'GET', path);
      assert.doesNotMatch(text, /https?:\/\/|\son\w+=|javascript:|style="/);
      assert.ok(!text.includes('user-1'));
    }
  });

  test('without identity there is no page and no script', async () => {
    for (const path of [
      '/',
      '/claim',
      '/presence',
      '/approvals',
      '/approvals/apr_1',
      '/assets/home.js',
      '/assets/style.css',
    ])
      assert.equal((await t.send(null, 'GET', path)).status, 401, path);
  });

  test('assets are a closed list', async () => {
    for (const name of ['home.js', 'claim.js', 'presence.js', 'approvals.js', 'style.css'])
      assert.equal((await t.send(user, 'GET', `/assets/${name}`)).status, 200, name);
    for (const name of ['..%2f..%2fpackage.json', 'constructor', 'home.ts'])
      assert.equal((await t.send(user, 'GET', `/assets/${name}`)).status, 404, name);
  });

  test('every element that a script asks for is on its page, and every page is labelled', () => {
    for (const page of [HOME, CLAIM, PRESENCE, APPROVALS]) {
      assert.ok(browserScripts().has(page.script), page.script);
      const ids = [...page.body.matchAll(/ id="([\w-]+)"/g)].map((match) => match[1]);
      assert.equal(new Set(ids).size, ids.length, page.title);
      for (const target of page.body.matchAll(/(?:for|aria-labelledby)="([\w-]+)"/g))
        assert.ok(ids.includes(target[1]), `${page.title}: ${target[1]}`);
      for (const input of page.body.matchAll(/<(?:input|select) id="([\w-]+)"/g))
        assert.ok(page.body.includes(`for="${input[1]}"`), `${page.title}: ${input[1]}`);
    }
  });

  test('scripts write text only, never markup', () => {
    for (const [name, text] of browserScripts()) {
      assert.doesNotMatch(
        text,
        /innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function|DOMParser/,
        name,
      );
      assert.doesNotThrow(() => new Script(text, { filename: name }), name);
    }
  });
});

describe('what an approver reads (issue 3, "Approvals")', () => {
  test('JSON is spread token by token: no key is lost, no number rounded, and it stays the same JSON', () => {
    const text = '{"a":1,"a":12345678901234567890,"s":"x{,}:\\"[ \\n","e":[],"o":{},"l":[true,null,-1.5e3]}';
    const shown = spread(text);
    assert.equal(shown.split('"a"').length, 3);
    assert.match(shown, /12345678901234567890/);
    assert.match(shown, /"s": "x\{,\}:\\"\[ \\n",\n {2}"e": \[\],\n {2}"o": \{\},/);
    assert.deepEqual(JSON.parse(shown), JSON.parse(text));
  });

  test('any JSON stays the same JSON when it is spread', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.deepEqual(JSON.parse(spread(text)), JSON.parse(text));
      }),
    );
  });

  test('text that is no JSON stays as it is, but for what would hide or turn it', () => {
    assert.equal(spread('*** Begin {patch}\n+x'), '*** Begin {patch}\n+x');
    assert.equal(visible('a\u202Eb\u200Bc\u{E0041}d\re'), 'a\\u202eb\\u200bc\\udb40\\udc41d\\u000de');
  });

  test('nothing is sent as an edit unless it was changed, and JSON stays JSON', () => {
    const detail = { arguments: '{"a":1}' };
    assert.deepEqual(editBody('{ "a": 1 }', '{ "a": 1 }', detail), {});
    assert.deepEqual(editBody('{"a":2}', '{ "a": 1 }', detail), { edited: { a: 2 } });
    assert.throws(() => editBody('{"a":', '{ "a": 1 }', detail), /must be JSON/);
    assert.deepEqual(editBody('b', 'a', { arguments: 'a' }), { edited: 'b' });
  });

  test('times on offer end with the most that policy allows', () => {
    assert.deepEqual(durations(600), [600]);
    assert.deepEqual(durations(8 * 3_600), [900, 3_600, 28_800]);
    assert.deepEqual(scopeBody('time 900'), { scope: 'time', duration_sec: 900 });
    assert.deepEqual(scopeBody('session'), { scope: 'session' });
  });
});

describe('the first page in a browser', () => {
  test('it shows who, what is recorded, providers, requests, usage and settings, and hostile text stays text', async () => {
    t.world.store.rows.push(requestRow('req_1', 'local:1', { userLabel: HOSTILE, model: HOSTILE }));
    t.world.store.usage.push({
      key: ['openai', HOSTILE],
      requests: 3,
      refused: 0,
      failed: 0,
      estimated: 0,
      unpriced: 0,
      inputTokens: 10,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      outputTokens: 20,
      reasoningTokens: 0,
      costNanoUsd: 1_500_000_000,
    });
    const page = await openPage('home.js', '/');
    const text = (id: string): string => page.element(id).text();
    assert.equal(text('identity'), 'user-1 · user');
    assert.match(
      text('banner'),
      /Admin Nobody yet.*test model postern\/echo.*Your prompts and answers are kept, encrypted/s,
    );
    assert.match(text('requests'), /<img src=x onerror=alert\(1\)>/);
    assert.match(text('usage'), /openai\/<img.*3.*10.*20.*\$1\.50/);
    assert.match(text('snippets'), /claude --model postern\/echo/);
    page.emit('request.started', {
      id: 'req_2',
      started_at: new Date(0).toISOString(),
      user_label: 'bob',
      model: 'm',
      provider: 'openai',
    });
    assert.match(text('requests'), /bob.*openai\/m.*running/);
    page.emit('request.finished', {
      id: 'req_2',
      started_at: new Date(0).toISOString(),
      user_label: 'bob',
      model: 'm',
      provider: 'openai',
      outcome: 'ok',
      usage: {},
      cost_nano_usd: 0,
    });
    assert.equal(text('requests').split('bob').length, 2);
    assert.doesNotMatch(text('requests'), /running/);
    assert.equal(text('message'), '');
  });

  test('the claim page takes the code out of the address, and claims on the button only', async () => {
    const link = (await t.api.offerClaim())?.url.reveal() ?? '';
    const code = link.split('#')[1] ?? '';
    const page = await openPage('claim.js', '/claim', `#${code}`);
    assert.deepEqual(page.replaced, ['/claim']);
    assert.equal(t.world.store.grants.length, 0);
    await page.element('claim').click();
    assert.deepEqual(
      t.world.store.grants.map((grant) => grant.principal),
      ['local:1'],
    );
    assert.equal(page.element('done').hidden, false);
    assert.match(page.stored.get('postern_presence_proof') ?? '', /^\w{32}$/);
  });

  test('the presence page opened by address links to localhost and asks for nothing', async () => {
    const page = await openPage('presence.js', '/presence', '#code', '127.0.0.1');
    assert.match(page.element('message').text(), /Go on at localhost/);
    assert.equal(page.calls.length, 0);
  });
});

/** As much of a browser as the scripts use. */
class FakeElement {
  hidden = false;
  disabled = false;
  className = '';
  value = '';
  tabIndex = 0;
  readonly attributes = new Map<string, string>();
  children: FakeElement[] = [];
  readonly #listeners: (() => void)[] = [];
  parent: FakeElement | null = null;
  textContent: string;
  constructor(text = '') {
    this.textContent = text;
  }
  setAttribute(name: string, value: string): void {
    if (name === 'class') this.className = value;
    if (name === 'value') this.value = value;
    this.attributes.set(name, value);
  }
  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }
  addEventListener(_name: string, listener: () => void): void {
    this.#listeners.push(listener);
  }
  async click(): Promise<void> {
    for (const listener of this.#listeners) listener();
    await settle();
  }
  append(...children: FakeElement[]): void {
    for (const child of children) child.parent = this;
    this.children.push(...children);
  }
  insertBefore(child: FakeElement, next: FakeElement | null): void {
    child.parent = this;
    this.children.splice(next === null ? this.children.length : this.children.indexOf(next), 0, child);
  }
  scrollIntoView(): void {}
  focus(): void {}
  replaceChildren(...children: FakeElement[]): void {
    this.children = [];
    this.value = children[0]?.value ?? this.value;
    this.append(...children);
  }
  replaceWith(other: FakeElement): void {
    const siblings = this.parent?.children ?? [];
    other.parent = this.parent;
    siblings[siblings.indexOf(this)] = other;
  }
  remove(): void {
    const siblings = this.parent?.children ?? [];
    siblings.splice(siblings.indexOf(this), 1);
  }
  get lastElementChild(): FakeElement | null {
    return this.children.at(-1) ?? null;
  }
  text(): string {
    return [this.textContent, ...this.children.map((child) => child.text())].join(' ').trim();
  }
}

interface FakePage {
  element(id: string): FakeElement;
  emit(name: string, data: unknown): void;
  readonly replaced: string[];
  readonly calls: string[];
  readonly stored: Map<string, string>;
}

/** Lets the answers of the server under test arrive. */
async function settle(): Promise<void> {
  let idle = 0;
  for (let seen = pending.started; idle < 5; idle += 1) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (pending.open > 0 || pending.started !== seen) idle = 0;
    seen = pending.started;
  }
}
const pending = { open: 0, started: 0 };

async function openPage(
  script: string,
  pathname: string,
  hash = '',
  hostname = 'localhost',
): Promise<FakePage> {
  const elements = new Map<string, FakeElement>();
  const page = await t.send(user, 'GET', pathname);
  for (const match of page.text.matchAll(/ id="([\w-]+)"/g)) elements.set(match[1] ?? '', new FakeElement());
  const replaced: string[] = [];
  const calls: string[] = [];
  const stored = new Map<string, string>();
  const listeners = new Map<string, (event: { data: string }) => void>();
  const element = (id: string): FakeElement => {
    const found = elements.get(id);
    assert.ok(found !== undefined, `no element ${id} on ${pathname}`);
    return found;
  };
  const context = createContext({
    document: {
      hidden: false,
      addEventListener: () => undefined,
      getElementById: (id: string) => elements.get(id) ?? null,
      createElement: () => new FakeElement(),
    },
    location: { hash, hostname, pathname, search: '', port: String(t.port) },
    history: { replaceState: (_state: unknown, _title: string, path: string) => replaced.push(path) },
    localStorage: {
      getItem: (name: string) => stored.get(name) ?? null,
      setItem: (name: string, value: string) => stored.set(name, value),
      removeItem: (name: string) => stored.delete(name),
    },
    EventSource: class {
      constructor() {
        setTimeout(() => listeners.get('open')?.({ data: '' }), 0);
      }
      addEventListener(name: string, listener: (event: { data: string }) => void): void {
        listeners.set(name, listener);
      }
    },
    fetch: async (
      path: string,
      options: { method: string; headers: Record<string, string>; body?: string },
    ) => {
      calls.push(path);
      pending.open += 1;
      pending.started += 1;
      const answer = await t.send(user, options.method, path, {
        headers: { ...options.headers, 'sec-fetch-site': 'same-origin' },
        ...(options.body === undefined ? {} : { raw: options.body }),
      });
      pending.open -= 1;
      return { ok: answer.status < 300, status: answer.status, text: async () => answer.text };
    },
    HTMLInputElement: FakeElement,
    HTMLButtonElement: FakeElement,
    HTMLSelectElement: FakeElement,
    URLSearchParams,
    setTimeout,
  });
  new Script((await t.send(user, 'GET', `/assets/${script}`)).text).runInContext(context);
  await settle();
  return {
    element,
    emit: (name, data) => listeners.get(name)?.({ data: JSON.stringify(data) }),
    replaced,
    calls,
    stored,
  };
}
