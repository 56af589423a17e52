/** The first page: who I am, live requests, my usage, how to connect. */
import { followApprovals, showLists } from './approval-lists.ts';
import type { CardParts } from './approval-texts.ts';
import {
  at,
  call,
  create,
  element,
  listOf,
  numberOf,
  parseJson,
  say,
  sayFailure,
  textOf,
  wrap,
} from './shared.ts';

/** Starts the page. */
export function startHome(): void {
  showPage().catch(sayFailure);
}

export async function showPage(): Promise<void> {
  const me = await call('GET', '/api/v1/whoami');
  const principal = textOf(me, 'principal') ?? '';
  const roles = listOf(me, 'roles').map(String);
  element('identity').textContent = `${textOf(me, 'label') ?? ''} · ${roles.join(', ') || 'no role yet'}`;
  if (roles.length === 0) {
    element('banner').replaceChildren(
      create('p', `This server knows you as ${principal}, and nothing is granted to you yet. Ask an admin.`),
    );
    return;
  }
  for (const id of ['requests-part', 'usage-part', 'connect-part']) element(id).hidden = false;
  const approvals: CardParts = { principal, refresh: () => showLists(approvals) };
  followRequests(principal, approvals);
  await Promise.all([showStatus(), showUsage(principal), showClients()]);
}

export async function showStatus(): Promise<void> {
  const status = await call('GET', '/api/v1/status');
  const facts: HTMLElement[] = [];
  const fact = (name: string, text: string, isWarning = false): void => {
    const value = wrap('dd', text);
    if (isWarning) value.className = 'warn';
    facts.push(create('dt', name), value);
  };
  if (at(status, 'claimed') !== true)
    fact('Admin', 'Nobody yet: open the claim link that the server printed on its terminal.', true);
  const fault = textOf(at(status, 'document'), 'error');
  if (fault !== null) fact('Document', `The newest one is not in force: ${fault.replaceAll('`', '')}`, true);
  const real = listOf(status, 'providers')
    .filter((provider) => at(provider, 'test') !== true)
    .map((provider) => (textOf(provider, 'name') ?? '').replaceAll('`', ''));
  fact(
    'Providers',
    real.length === 0
      ? 'None yet: only the test model `postern/echo` answers. Set `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, `GEMINI_API_KEY` or `OPENROUTER_API_KEY` and start the server again.'
      : `${real.join(', ')}; and the test model \`postern/echo\`.`,
  );
  fact('Recording', captureText(listOf(status, 'capture').map(String)));
  const list = document.createElement('dl');
  list.append(...facts);
  element('banner').replaceChildren(list);
}

export function captureText(modes: string[]): string {
  if (modes.length === 0) return 'No model is granted to you yet.';
  const words: Record<string, string> = {
    full: 'your prompts and answers are kept, encrypted',
    metadata: 'only who, when, model, tokens and cost are kept',
    none: 'nothing of the conversation is kept',
  };
  const text = modes.map((mode) => words[mode] ?? mode).join('; for other models ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export async function showUsage(principal: string): Promise<void> {
  const from = new Date(Date.now() - 7 * 86_400_000).toISOString();
  const query = new URLSearchParams({ group_by: 'provider,model', from, principal });
  const items = listOf(await call('GET', `/api/v1/usage?${query.toString()}`), 'items');
  const figures = ['requests', 'input_tokens', 'output_tokens', 'cost_nano_usd'];
  const row = (heading: HTMLElement, values: (number | null)[]): HTMLElement => {
    const made = document.createElement('tr');
    const cells = values.map((value, i) =>
      create('td', i === 3 ? dollars(value) : count(value), { class: 'number' }),
    );
    made.append(heading, ...cells);
    return made;
  };
  const rows = items.map((item) => {
    const model = textOf(at(item, 'key'), 'model');
    const provider = textOf(at(item, 'key'), 'provider');
    const name = model === null ? 'no model (refused)' : `${provider ?? '–'}/${model}`;
    return row(
      create('td', name, { class: 'model' }),
      figures.map((figure) => numberOf(item, figure)),
    );
  });
  const sums = figures.map((figure) =>
    items.reduce<number>((sum, item) => sum + (numberOf(item, figure) ?? 0), 0),
  );
  element('usage').replaceChildren(...rows);
  element('usage-total').replaceChildren(
    ...(rows.length > 1 ? [row(create('th', 'Together', { scope: 'row' }), sums)] : []),
  );
  element('usage-table').hidden = rows.length === 0;
  element('usage-empty').hidden = rows.length > 0;
}

/**
 * Live rows, newest first, at most 50. Only while the page is seen: a browser keeps six connections
 * to one server at most, so that seven hidden tabs would block each other.
 */
export function followRequests(principal: string, approvals: CardParts): void {
  const state = element('live');
  let events: EventSource | null = null;
  let usage: 'shown' | 'due' | 'due twice' = 'shown';
  const tell = (text: string, isLive: boolean): void => {
    state.textContent = text;
    state.className = isLive ? 'live' : '';
  };
  // At most every 2 s, and once more after the last: records are written a moment after the event.
  const updateUsageSoon = (): void => {
    const isWaiting = usage !== 'shown';
    usage = isWaiting ? 'due twice' : 'due';
    if (isWaiting) return;
    setTimeout(() => {
      const isDueAgain = usage === 'due twice';
      usage = 'shown';
      showUsage(principal).catch(sayFailure);
      if (isDueAgain) updateUsageSoon();
    }, 2_000);
  };
  const open = (): void => {
    const source = new EventSource('/api/v1/events');
    events = source;
    source.addEventListener('open', () => {
      tell('live', true);
      showRecent().catch(sayFailure);
      approvals.refresh().catch(sayFailure);
    });
    source.addEventListener('error', () => {
      tell(source.readyState === 2 ? 'not live: load the page again' : 'connecting …', false);
    });
    followApprovals(source, approvals);
    source.addEventListener('request.started', (event) => putRequest(parseJson(event.data), false));
    source.addEventListener('request.finished', (event) => {
      putRequest(parseJson(event.data), true);
      updateUsageSoon();
    });
  };
  document.addEventListener('visibilitychange', () => {
    events?.close();
    if (document.hidden) tell('paused', false);
    else open();
  });
  if (!document.hidden) open();
}

/** Rows that were missed, and an end of rows whose end was missed. */
export async function showRecent(): Promise<void> {
  const table = element('requests');
  const running = [...table.children].filter((row) => row.className === 'running');
  for (const row of running) row.remove();
  for (const item of listOf(await call('GET', '/api/v1/requests?limit=20'), 'items')) putRequest(item, true);
  const isEmpty = table.children.length === 0;
  element('first-call').hidden = !isEmpty;
  element('requests-table').hidden = isEmpty;
}

/** Puts a request at its place, or in place of its earlier state. */
export function putRequest(item: unknown, isOver: boolean): void {
  const table = element('requests');
  const row = requestRow(item, isOver);
  const id = row.getAttribute('data-id');
  const startedAt = row.getAttribute('data-started') ?? '';
  const rows = [...table.children];
  const old = rows.find((child) => child.getAttribute('data-id') === id);
  const next = rows.find((child) => (child.getAttribute('data-started') ?? '') < startedAt) ?? null;
  if (old === undefined) table.insertBefore(row, next);
  else old.replaceWith(row);
  while (table.children.length > 50) table.lastElementChild?.remove();
  element('first-call').hidden = true;
  element('requests-table').hidden = false;
}

export function requestRow(item: unknown, isOver: boolean): HTMLElement {
  const startedAt = textOf(item, 'started_at') ?? '';
  const row = create('tr', '', {
    'data-id': textOf(item, 'id') ?? '',
    'data-started': startedAt,
    class: isOver ? 'over' : 'running',
  });
  const outcome = textOf(item, 'outcome');
  const provider = textOf(item, 'provider');
  const model = textOf(item, 'model') ?? textOf(item, 'requested_model') ?? '–';
  const reason = outcome === 'ok' ? 'ok' : (textOf(item, 'reason') ?? outcome ?? '').replaceAll('_', ' ');
  const who = create('td', textOf(item, 'user_label') ?? '', { class: 'who' });
  const agent = textOf(item, 'agent');
  if (agent !== null) who.append(create('span', ` ${agent}`, { class: 'soft' }));
  row.append(
    timeCell(startedAt),
    who,
    create('td', provider === null ? model : `${provider}/${model}`, { class: 'model' }),
    create('td', isOver ? reason : 'running …', {
      class: isOver ? (outcome === 'ok' ? 'state good' : 'state bad') : 'state soft',
    }),
    create('td', isOver ? duration(numberOf(at(item, 'timing'), 'total_us')) : '', { class: 'number took' }),
    create('td', isOver ? tokens(item) : '', { class: 'number tokens' }),
    create('td', isOver ? dollars(numberOf(item, 'cost_nano_usd')) : '', { class: 'number cost' }),
  );
  return row;
}

/** Marked where Postern had to estimate. */
export function tokens(item: unknown): string {
  const input = numberOf(at(item, 'usage'), 'input_tokens');
  const output = numberOf(at(item, 'usage'), 'output_tokens');
  if (input === null && output === null) return '–';
  return `${at(item, 'estimated') === true ? '≈ ' : ''}${count(input)} → ${count(output)}`;
}

/** The time in the viewer's own zone; with the day unless it is today. */
export function timeCell(startedAt: string): HTMLElement {
  const time = new Date(startedAt);
  const isToday = time.toDateString() === new Date().toDateString();
  const text = isToday
    ? time.toLocaleTimeString()
    : time.toLocaleString([], { dateStyle: 'short', timeStyle: 'short' });
  const cell = create('td', '', { class: 'time' });
  cell.append(create('time', text, { datetime: startedAt, title: time.toString() }));
  return cell;
}

export function count(value: number | null): string {
  return value === null ? '–' : value.toLocaleString();
}

export function dollars(nano: number | null): string {
  if (nano === null) return '–';
  const usd = nano / 1e9;
  if (usd !== 0 && usd < 0.01) return `$${usd.toFixed(Math.min(9, 1 - Math.floor(Math.log10(usd))))}`;
  return `$${usd === 0 ? '0' : usd.toLocaleString([], { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

export function duration(us: number | null): string {
  if (us === null) return '–';
  if (us < 999_500) return `${Math.max(1, Math.round(us / 1_000))} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}

export async function showClients(): Promise<void> {
  const answer = await call('GET', '/api/v1/connect');
  const clients = listOf(answer, 'items');
  const choice = element('client');
  if (!(choice instanceof HTMLSelectElement)) throw new Error('client is no choice');
  choice.replaceChildren(
    ...clients.map((client, i) => create('option', textOf(client, 'title') ?? '', { value: String(i) })),
  );
  const show = (): void => showClient(clients[Number(choice.value)]);
  choice.addEventListener('change', show);
  show();
  const curl = clients.find((client) => textOf(client, 'client') === 'curl');
  if (curl !== undefined)
    element('first-snippet').replaceChildren(
      snippet('In a terminal', textOf(at(curl, 'snippet'), 'text') ?? ''),
    );
}

export function showClient(client: unknown): void {
  const language = textOf(at(client, 'snippet'), 'language') ?? '';
  const titles: Record<string, string> = { sh: 'In a terminal', ts: 'In a program', text: 'In its settings' };
  const text = textOf(at(client, 'snippet'), 'text') ?? '';
  const blocks: HTMLElement[] = [snippet(titles[language] ?? 'Settings', text)];
  for (const file of listOf(client, 'files'))
    blocks.push(snippet(`In ${textOf(file, 'path') ?? ''}`, textOf(file, 'text') ?? ''));
  const notes = listOf(client, 'notes').map((note) => wrap('li', String(note)));
  if (notes.length > 0) blocks.push(wrap('ul', ...notes));
  element('snippets').replaceChildren(...blocks);
}

/** A block of text with a button that copies it. */
export function snippet(title: string, text: string): HTMLElement {
  const figure = document.createElement('figure');
  const head = create('figcaption', title);
  const button = create('button', 'Copy', { type: 'button', class: 'small', 'aria-label': `Copy: ${title}` });
  const block = document.createElement('pre');
  block.append(create('code', text));
  button.addEventListener('click', () => {
    copyText(text)
      .then(() => {
        button.textContent = 'Copied';
        setTimeout(() => {
          button.textContent = 'Copy';
        }, 1_500);
      })
      .catch(() => {
        getSelection()?.selectAllChildren(block);
        say('The browser did not allow copying: the text is selected, copy it with the keyboard.', true);
      });
  });
  head.append(button);
  figure.append(head, block);
  return figure;
}

/** Rejects where the browser has no clipboard for pages, as over plain HTTP on the network. */
export async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}
