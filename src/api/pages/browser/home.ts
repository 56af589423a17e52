/** The first page: who I am, live requests, my usage, how to connect. */
import { at, call, create, element, listOf, numberOf, onClick, say, textOf } from './shared.ts';

/** Starts the page. */
export function startHome(): void {
  Promise.all([showIdentity(), showStatus(), showUsage(), showClients()]).catch((error: unknown) => {
    say(error instanceof Error ? error.message : String(error), true);
  });
  showRecent()
    .then(followRequests)
    .catch((error: unknown) => say(error instanceof Error ? error.message : String(error), true));
  onClick('refresh-usage', showUsage);
}

export async function showIdentity(): Promise<void> {
  const me = await call('GET', '/api/v1/whoami');
  const roles = listOf(me, 'roles').join(', ') || 'no role yet';
  element('identity').textContent = `${textOf(me, 'label') ?? ''} · ${roles}`;
}

export async function showStatus(): Promise<void> {
  const status = await call('GET', '/api/v1/status');
  const banner = element('banner');
  const lines: HTMLElement[] = [];
  if (at(status, 'claimed') !== true) {
    lines.push(
      create('p', 'Nobody administers this server yet. Open the claim link that it printed on its terminal.', { class: 'warn' }),
    );
  }
  const capture = listOf(status, 'capture').map(String);
  lines.push(create('p', captureText(capture)));
  const providers = listOf(status, 'providers');
  const real = providers.filter((provider) => at(provider, 'test') !== true).map((provider) => textOf(provider, 'name') ?? '');
  lines.push(
    create(
      'p',
      real.length === 0
        ? 'No provider is set up: the test model postern/echo answers. Set ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY or OPENROUTER_API_KEY and start again, or add a key.'
        : `Providers: ${real.join(', ')}. The test model postern/echo answers too.`,
    ),
  );
  const fault = textOf(at(status, 'document'), 'error');
  if (fault !== null) lines.push(create('p', `The newest document is not in force: ${fault}`, { class: 'warn' }));
  banner.replaceChildren(...lines);
}

export function captureText(modes: string[]): string {
  if (modes.length === 0) return 'No model is granted to you yet.';
  const words: Record<string, string> = {
    full: 'your prompts and answers are kept, encrypted',
    metadata: 'only who, when, model, tokens and cost are kept',
    none: 'nothing of the conversation is kept',
  };
  return `Recording: ${modes.map((mode) => words[mode] ?? mode).join('; for other models ')}.`;
}

export async function showUsage(): Promise<void> {
  const from = new Date(Date.now() - 7 * 86_400_000).toISOString();
  const me = await call('GET', '/api/v1/whoami');
  const query = new URLSearchParams({ group_by: 'provider,model', from, principal: textOf(me, 'principal') ?? '' });
  const usage = await call('GET', `/api/v1/usage?${query.toString()}`);
  const rows = listOf(usage, 'items').map((item) => {
    const key = at(item, 'key');
    const row = document.createElement('tr');
    const model = `${textOf(key, 'provider') ?? '–'}/${textOf(key, 'model') ?? '–'}`;
    row.append(
      create('td', model),
      create('td', count(numberOf(item, 'requests')), { class: 'number' }),
      create('td', count(numberOf(item, 'input_tokens')), { class: 'number' }),
      create('td', count(numberOf(item, 'output_tokens')), { class: 'number' }),
      create('td', dollars(numberOf(item, 'cost_nano_usd')), { class: 'number' }),
    );
    return row;
  });
  element('usage').replaceChildren(...(rows.length > 0 ? rows : [emptyRow('Nothing in the last 7 days.', 5)]));
}

export async function showRecent(): Promise<void> {
  const recent = await call('GET', '/api/v1/requests?limit=20');
  const rows = listOf(recent, 'items').map((item) => requestRow(item, true));
  element('requests').replaceChildren(...(rows.length > 0 ? rows : [emptyRow('No requests yet. Make one: see below.', 6)]));
}

/** Live rows, newest first, at most 50. */
export function followRequests(): void {
  const table = element('requests');
  const state = element('live');
  const events = new EventSource('/api/v1/events');
  events.addEventListener('open', () => {
    state.textContent = 'live';
  });
  events.addEventListener('error', () => {
    state.textContent = 'connecting …';
  });
  const put = (item: unknown, isOver: boolean): void => {
    const row = requestRow(item, isOver);
    const id = textOf(item, 'id') ?? '';
    const old = [...table.children].find((child) => (child as HTMLElement).dataset['id'] === id);
    table.querySelector('.empty')?.remove();
    if (old === undefined) table.prepend(row);
    else old.replaceWith(row);
    while (table.children.length > 50) table.lastElementChild?.remove();
  };
  events.addEventListener('request.started', (event) => put(JSON.parse(event.data), false));
  events.addEventListener('request.finished', (event) => put(JSON.parse(event.data), true));
}

export function requestRow(item: unknown, isOver: boolean): HTMLElement {
  const row = document.createElement('tr');
  row.dataset['id'] = textOf(item, 'id') ?? '';
  const time = new Date(textOf(item, 'started_at') ?? 0);
  const usage = at(item, 'usage');
  const outcome = textOf(item, 'outcome');
  const provider = textOf(item, 'provider');
  const model = textOf(item, 'model') ?? textOf(item, 'requested_model') ?? '–';
  const state = isOver ? (outcome === 'ok' ? 'ok' : (textOf(item, 'reason') ?? outcome ?? '')) : 'running …';
  const tokens = isOver ? `${count(numberOf(usage, 'input_tokens'))} → ${count(numberOf(usage, 'output_tokens'))}` : '';
  row.append(
    create('td', time.toLocaleTimeString()),
    create('td', textOf(item, 'user_label') ?? ''),
    create('td', provider === null ? model : `${provider}/${model}`),
    create('td', state, { class: outcome === null || outcome === 'ok' ? 'state' : 'state bad' }),
    create('td', tokens, { class: 'number' }),
    create('td', isOver ? dollars(numberOf(item, 'cost_nano_usd')) : '', { class: 'number' }),
  );
  return row;
}

export function emptyRow(text: string, columns: number): HTMLElement {
  const row = document.createElement('tr');
  row.className = 'empty';
  row.append(create('td', text, { colspan: String(columns) }));
  return row;
}

export function count(value: number | null): string {
  return value === null ? '–' : value.toLocaleString();
}

export function dollars(nano: number | null): string {
  if (nano === null) return '–';
  const usd = nano / 1e9;
  return `$${usd === 0 ? '0' : usd < 0.01 ? usd.toPrecision(2) : usd.toFixed(2)}`;
}

export async function showClients(): Promise<void> {
  const answer = await call('GET', '/api/v1/connect');
  const clients = listOf(answer, 'items');
  const choice = element('client') as HTMLSelectElement;
  choice.replaceChildren(...clients.map((client, i) => create('option', textOf(client, 'title') ?? '', { value: String(i) })));
  const show = (): void => showClient(clients[Number(choice.value)]);
  choice.addEventListener('change', show);
  show();
}

export function showClient(client: unknown): void {
  const blocks: HTMLElement[] = [snippet('Run', textOf(at(client, 'snippet'), 'text') ?? '')];
  for (const file of listOf(client, 'files')) blocks.push(snippet(`In ${textOf(file, 'path') ?? ''}`, textOf(file, 'text') ?? ''));
  const notes = listOf(client, 'notes').map((note) => create('li', String(note)));
  if (notes.length > 0) {
    const list = document.createElement('ul');
    list.append(...notes);
    blocks.push(list);
  }
  element('snippets').replaceChildren(...blocks);
}

/** A block of text with a button that copies it. */
export function snippet(title: string, text: string): HTMLElement {
  const figure = document.createElement('figure');
  const head = create('figcaption', title);
  const button = create('button', 'Copy', { type: 'button' });
  button.addEventListener('click', () => {
    navigator.clipboard
      .writeText(text)
      .then(() => {
        button.textContent = 'Copied';
        setTimeout(() => {
          button.textContent = 'Copy';
        }, 1_500);
      })
      .catch(() => say('the browser did not allow copying: select the text instead', true));
  });
  head.append(button);
  const block = document.createElement('pre');
  block.tabIndex = 0;
  block.append(create('code', text));
  figure.append(head, block);
  return figure;
}
