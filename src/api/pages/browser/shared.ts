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

/** A new element with text and attributes. */
export function create(name: string, text: string, attributes: Record<string, string> = {}): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
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
  });
  const text = await answer.text();
  const value: unknown = text === '' ? null : JSON.parse(text);
  if (answer.ok) return value;
  const failure: Failure = new Error(textOf(value, 'detail') ?? `the server answered ${answer.status}`);
  const code = textOf(value, 'code');
  const presenceUrl = textOf(value, 'presence_url');
  if (code !== null) failure.code = code;
  if (presenceUrl !== null) failure.presenceUrl = presenceUrl;
  throw failure;
}

/** A member of an answer, whatever the answer is. */
export function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
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
}

/** Runs an action of a button; what fails is said on the page. */
export function onClick(id: string, action: () => Promise<void>): void {
  const button = element(id) as HTMLButtonElement;
  button.addEventListener('click', () => {
    button.disabled = true;
    action()
      .catch((error: unknown) => say(error instanceof Error ? error.message : String(error), true))
      .finally(() => {
        button.disabled = false;
      });
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
