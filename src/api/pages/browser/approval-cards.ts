/**
 * One approval as people see it: who wants what, what would run, and the decision. What stands in a
 * list is the redacted line; the whole call is read first, in person, and only then approved.
 */
import { decisionForm, takeBackButton } from './approval-decisions.ts';
import {
  capital,
  type CardParts,
  doneText,
  momentOf,
  spread,
  titleOf,
  visible,
  wantOf,
} from './approval-texts.ts';
import { inPerson } from './passkeys.ts';
import { at, call, create, type Failure, listOf, numberOf, say, sayFailure, textOf } from './shared.ts';

/** In a list: enough to tell what it is about, and to refuse it. */
export function closedCard(item: unknown, parts: CardParts): HTMLElement {
  const card = emptyCard(item);
  const id = textOf(item, 'id') ?? '';
  const title = create('h3', '');
  const isOwn = textOf(item, 'principal') === parts.principal;
  title.append(
    create('a', isOwn ? capital(wantOf(item)) : titleOf(item), {
      href: `/approvals/${encodeURIComponent(id)}`,
    }),
  );
  card.append(title, create('p', summaryOf(item, parts.principal), { class: 'soft' }));
  const preview = textOf(item, 'preview') ?? '';
  if (preview !== '') card.append(create('p', visible(preview), { class: 'preview' }));
  if (at(item, 'may_decide') === true && textOf(item, 'state') === 'pending')
    card.append(lookButtons(item, parts));
  else if (isOwn) card.append(...takeBackButton(item, parts));
  return card;
}

/** In full, as far as the viewer may read it; with the decision where it is the viewer's. */
export function openCard(detail: unknown, parts: CardParts): HTMLElement {
  const card = emptyCard(detail);
  card.className = 'approval open';
  card.append(create('h3', titleOf(detail)), factsOf(detail), ...contentOf(detail));
  const isPending = textOf(detail, 'state') === 'pending';
  const isOwn = textOf(detail, 'principal') === parts.principal;
  if (at(detail, 'may_decide') === true && isPending) card.append(...decisionPart(detail, parts));
  else if (isOwn && isPending)
    card.append(create('p', 'You asked for this yourself, so somebody else decides.', { class: 'soft' }));
  if (isOwn) card.append(...takeBackButton(detail, parts));
  return card;
}

/** What the viewer can do: read first, then decide, once. */
export function decisionPart(detail: unknown, parts: CardParts): HTMLElement[] {
  if (!isReadable(detail)) return [lookButtons(detail, parts)];
  const votes = listOf(detail, 'votes');
  if (!votes.some((vote) => textOf(vote, 'by') === parts.principal)) return [decisionForm(detail, parts)];
  const missing = (numberOf(detail, 'quorum') ?? 1) - votes.length;
  const row = create('p', '', { class: 'buttons' });
  row.append(denyButton(detail, parts));
  return [create('p', `You have approved it; ${missing} more must. You may still deny it.`), row];
}

export function emptyCard(item: unknown): HTMLElement {
  return create('li', '', {
    class: 'approval',
    'data-id': textOf(item, 'id') ?? '',
    'data-version': versionOf(item),
  });
}

/** Changes whenever what a card shows does. */
export function versionOf(item: unknown): string {
  return [textOf(item, 'state'), listOf(item, 'votes').length, numberOf(item, 'edits')].join(' ');
}

/** Whether the viewer has what an approver must have read. */
export function isReadable(detail: unknown): boolean {
  const content = textOf(detail, 'content');
  return content === 'shown' || content === 'forgotten';
}

/** One line below the title of a list. */
export function summaryOf(item: unknown, principal: string): string {
  const state = textOf(item, 'state') ?? '';
  const agent = textOf(item, 'agent');
  const parts = [
    ...(agent === null ? [] : [visible(agent)]),
    `asked ${momentOf(item, 'created_at')}`,
    ...(state === 'pending' ? [`open until ${momentOf(item, 'expires_at')}`] : [doneText(item)]),
    ...(at(item, 'held') === true && state === 'pending' ? ['a stream waits for it'] : []),
    ...votesText(item, principal),
  ];
  return parts.join(' · ');
}

/** How far a quorum is; nothing where one person decides. */
export function votesText(item: unknown, principal: string): string[] {
  const quorum = numberOf(item, 'quorum') ?? 1;
  const votes = listOf(item, 'votes');
  if (quorum < 2 || textOf(item, 'state') !== 'pending') return [];
  const hasMine = votes.some((vote) => textOf(vote, 'by') === principal);
  return [`${votes.length} of ${quorum} approve${hasMine ? ', you among them' : ''}`];
}

export function factsOf(detail: unknown): HTMLElement {
  const list = document.createElement('dl');
  const fact = (name: string, text: string | null): void => {
    if (text !== null && text !== '') list.append(create('dt', name), create('dd', visible(text)));
  };
  const isPending = textOf(detail, 'state') === 'pending';
  const held = at(detail, 'held') === true ? '; a stream waits for it' : '';
  const label = textOf(detail, 'label') ?? '';
  const principal = textOf(detail, 'principal') ?? '';
  fact('Who', label === principal ? label : `${label} (${principal})`);
  fact('Program', textOf(detail, 'agent'));
  fact('Session', textOf(detail, 'session_id'));
  if (textOf(detail, 'kind') !== 'model') fact('Model', textOf(detail, 'model'));
  fact('Asked', momentOf(detail, 'created_at'));
  if (isPending) fact('Open until', `${momentOf(detail, 'expires_at')}${held}`);
  else fact('State', doneText(detail));
  fact('Rule', textOf(detail, 'rule'));
  const quorum = numberOf(detail, 'quorum') ?? 1;
  if (quorum > 1) fact('Needs', `${quorum} people who approve`);
  for (const vote of listOf(detail, 'votes')) {
    const verdict = textOf(vote, 'verdict') === 'deny' ? 'Denied by' : 'Approved by';
    const reason = textOf(vote, 'reason');
    const edited = at(vote, 'edited') === true ? ', with a change' : '';
    fact(verdict, `${textOf(vote, 'by_label') ?? ''}${edited}${reason === null ? '' : `: ${reason}`}`);
  }
  return list;
}

/** What would run, as it was written; or the redacted line, and why it is no more. */
export function contentOf(detail: unknown): HTMLElement[] {
  const made: HTMLElement[] = [];
  const excerpt = textOf(detail, 'excerpt');
  if (excerpt !== null && excerpt !== '')
    made.push(create('p', `“${visible(excerpt)}”`, { class: 'excerpt' }));
  const words = textOf(detail, 'arguments');
  if (words !== null && words !== '') made.push(block(spread(words), 'What would run'));
  if (at(detail, 'arguments_cut') === true)
    made.push(create('p', 'Only the beginning is kept: the request is larger.', { class: 'warn' }));
  const edited = at(detail, 'edited_arguments');
  if (edited !== undefined) {
    made.push(create('p', 'An approver changed it. This would run instead:', { class: 'warn' }));
    made.push(block(visible(JSON.stringify(edited, null, 2)), 'What would run instead'));
  }
  if (isReadable(detail)) {
    if (textOf(detail, 'content') === 'forgotten')
      made.push(create('p', 'What it held is not kept any more.', { class: 'soft' }));
    return made;
  }
  const preview = textOf(detail, 'preview') ?? '';
  if (preview !== '') made.push(create('p', visible(preview), { class: 'preview' }));
  return made;
}

/** Text that scrolls by itself, by keyboard too. */
export function block(text: string, name: string): HTMLElement {
  return create('pre', text, { tabindex: '0', role: 'region', 'aria-label': name, class: 'call' });
}

/** Reading the whole is the way to approving; a refusal needs no reading. */
export function lookButtons(item: unknown, parts: CardParts): HTMLElement {
  const row = create('p', '', { class: 'buttons' });
  const look = create('button', 'Look and decide', {
    type: 'button',
    class: 'main',
    'aria-label': `Look and decide: ${titleOf(item)}`,
  });
  look.addEventListener('click', () => {
    inPerson(() => readDetail(textOf(item, 'id') ?? ''))
      .then((detail) => {
        say('');
        const opened = openCard(detail, parts);
        row.parentElement?.replaceWith(opened);
        opened.setAttribute('tabindex', '-1');
        opened.focus();
      })
      .catch(sayFailure);
  });
  row.append(look, ' ', denyButton(item, parts));
  return row;
}

export function denyButton(item: unknown, parts: CardParts): HTMLElement {
  const deny = create('button', 'Deny', { type: 'button', 'aria-label': `Deny: ${titleOf(item)}` });
  deny.addEventListener('click', () => {
    const id = textOf(item, 'id') ?? '';
    const path = `/api/v1/approvals/${encodeURIComponent(id)}/decision`;
    inPerson(() => call('POST', path, { verdict: 'deny' }))
      .then(async (decided) => {
        await parts.refresh(id);
        say(`${titleOf(decided)}: ${doneText(decided)}.`);
      })
      .catch(sayFailure);
  });
  return deny;
}

/** The approval with its words; rejects as the API does where presence is missing. */
export async function readDetail(id: string): Promise<unknown> {
  const detail = await call('GET', `/api/v1/approvals/${encodeURIComponent(id)}`);
  if (textOf(detail, 'content') !== 'presence_required') return detail;
  const failure: Failure = new Error('The whole call is shown to you in person only.');
  failure.code = 'presence_required';
  failure.presenceUrl = '/presence';
  throw failure;
}
