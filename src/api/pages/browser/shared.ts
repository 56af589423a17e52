/**
 * Code that runs in the browser, on every page. Each function is sent as its own source text
 * (`scripts.ts`), so it may use only the browser and the other functions of the same script.
 * Nothing is ever written as markup: text goes in as text.
 */

/** The element with this id; the pages and scripts are of one release, so a missing one is a fault. */
export function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element ${id}`);
  return found;
}

/** A field that people type into. */
export function field(id: string): HTMLInputElement {
  const found = element(id);
  if (!(found instanceof HTMLInputElement)) throw new Error(`${id} is no field`);
  return found;
}

/** What people typed into a field; rejects an empty one by its name. */
export function typed(id: string, name: string): string {
  const text = field(id).value.trim();
  if (text === '') throw new Error(`Enter ${name} first.`);
  return text;
}

/** A new element with text and attributes. */
export function create(name: string, text: string, attributes: Record<string, string> = {}): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

/** A new element around others and text; what stands in `backticks` in a text becomes code. */
export function wrap(name: string, ...parts: (HTMLElement | string)[]): HTMLElement {
  const made = document.createElement(name);
  for (const part of parts) {
    if (typeof part !== 'string') made.append(part);
    else made.append(...part.split('`').map((text, i) => create(i % 2 === 1 ? 'code' : 'span', text)));
  }
  return made;
}

/** What a failed call says. */
export interface Failure extends Error {
  code?: string;
  presenceUrl?: string;
}

/** Calls the API; rejects with its own words. Sends the half of presence that this origin keeps. */
export async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const headers: Record<string, string> = { accept: 'application/json' };
  const proof = localStorage.getItem('postern_presence_proof');
  if (proof !== null) headers['x-postern-presence-proof'] = proof;
  if (method !== 'GET') headers['content-type'] = 'application/json';
  const answer = await fetch(path, {
    method,
    headers,
    credentials: 'same-origin',
    redirect: 'error',
    ...(method === 'GET' ? {} : { body: JSON.stringify(body ?? {}) }),
  }).catch(() => {
    throw new Error('The server does not answer. Is it running?');
  });
  const value = parseJson(await answer.text());
  if (answer.ok) return value;
  const failure: Failure = new Error(textOf(value, 'detail') ?? `The server answered ${answer.status}.`);
  const code = textOf(value, 'code');
  const presenceUrl = textOf(value, 'presence_url');
  if (code !== null) failure.code = code;
  if (presenceUrl !== null) failure.presenceUrl = presenceUrl;
  throw failure;
}

export function parseJson(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

/** A member of an answer, whatever the answer is. */
export function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

export function textOf(value: unknown, name: string): string | null {
  const found = at(value, name);
  return typeof found === 'string' ? found : null;
}

export function numberOf(value: unknown, name: string): number | null {
  const found = at(value, name);
  return typeof found === 'number' ? found : null;
}

export function listOf(value: unknown, name: string): unknown[] {
  const found = at(value, name);
  return Array.isArray(found) ? found : [];
}

/** Says something in the page's live region, which screen readers read out. */
export function say(text: string, isError = false): void {
  const region = element('message');
  region.textContent = text;
  region.className = isError ? 'message error' : 'message';
  region.hidden = text === '';
  if (text !== '') region.scrollIntoView({ block: 'nearest' });
}

/** Says what went wrong, and where presence is shown if that is what is missing. */
export function sayFailure(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  say(text.charAt(0).toUpperCase() + text.slice(1), true);
  if (textOf(error, 'presenceUrl') !== null)
    element('message').append(create('a', ' Show presence', { href: '/presence' }));
}

/** Runs an action of a button; what fails is said on the page. */
export function onClick(id: string, action: () => Promise<void>): void {
  const button = element(id);
  if (!(button instanceof HTMLButtonElement)) throw new Error(`${id} is no button`);
  button.addEventListener('click', () => {
    button.disabled = true;
    action()
      .catch(sayFailure)
      .finally(() => {
        button.disabled = false;
      });
  });
}

/** Enter in a field presses its button, as people expect. */
export function onEnter(fieldId: string, buttonId: string): void {
  field(fieldId).addEventListener('keydown', (event) => {
    if (event.key === 'Enter') element(buttonId).click();
  });
}

/** Keeps the half of presence that only this origin can read. */
export function keepPresence(answer: unknown): void {
  localStorage.setItem('postern_presence_proof', textOf(answer, 'proof') ?? '');
}

/** The code in the address, which is taken out of it at once so that it stays in no history. */
export function takeFragment(): string {
  const code = location.hash.slice(1);
  if (code !== '') history.replaceState(null, '', location.pathname + location.search);
  return code;
}
