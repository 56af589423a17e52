import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createContext, Script } from 'node:vm';
import { caller, startTestApi, type TestApi } from '../test-api.ts';
import { CLAIM, PRESENCE } from './markup.ts';
import { browserScripts } from './scripts.ts';

const user = caller('local:1');

let t: TestApi;
beforeEach(async () => {
  t = await startTestApi();
  t.world.access.set('local:1', { roles: new Set(['user']) });
});
afterEach(() => t.close());

describe('pages (DESIGN section 4)', () => {
  test('a page admits its own script and style by a fresh nonce, and nothing else', async () => {
    const nonces = new Set<string>();
    for (const path of ['/claim', '/presence', '/claim']) {
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
    assert.equal(nonces.size, 3);
  });

  test('no page names another site, runs inline code or holds anything of anybody', async () => {
    for (const path of ['/claim', '/presence']) {
      const { text } = await t.send(user, 'GET', path);
      assert.doesNotMatch(text, /https?:\/\/|\son\w+=|javascript:|style="/);
      assert.ok(!text.includes('user-1'));
    }
  });

  test('without identity there is no page and no script', async () => {
    for (const path of ['/claim', '/presence', '/plain/claim.js', '/plain/style.css'])
      assert.equal((await t.send(null, 'GET', path)).status, 401, path);
  });

  test('assets are a closed list', async () => {
    for (const name of ['claim.js', 'presence.js', 'style.css'])
      assert.equal((await t.send(user, 'GET', `/plain/${name}`)).status, 200, name);
    for (const name of ['..%2f..%2fpackage.json', 'constructor', 'claim.ts'])
      assert.equal((await t.send(user, 'GET', `/plain/${name}`)).status, 404, name);
  });

  test('every element that a script asks for is on its page, and every page is labelled', () => {
    for (const page of [CLAIM, PRESENCE]) {
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

describe('the pages in a browser', () => {
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
  new Script((await t.send(user, 'GET', `/plain/${script}`)).text).runInContext(context);
  await settle();
  return {
    element,
    emit: (name, data) => listeners.get(name)?.({ data: JSON.stringify(data) }),
    replaced,
    calls,
    stored,
  };
}
