/** The two lists of approvals, on the first page and on their own: what waits for me, and what I asked. */
import { closedCard, openCard, readDetail, versionOf } from './approval-cards.ts';
import { type CardParts, doneText, titleOf } from './approval-texts.ts';
import { call, element, listOf, parseJson, say, sayFailure, textOf } from './shared.ts';

/** Reads both lists and changes only the cards that are different, so that nobody loses what they type. */
export async function showLists(parts: CardParts): Promise<void> {
  const [waiting, asked] = await Promise.all([
    call('GET', '/api/v1/approvals?of=to_decide&limit=20'),
    call('GET', '/api/v1/approvals?of=mine&limit=5'),
  ]);
  const linked = linkedId();
  const others = (answer: unknown): unknown[] =>
    listOf(answer, 'items').filter((item) => textOf(item, 'id') !== linked);
  putCards('waiting', others(waiting), parts);
  putCards('asked', others(asked), parts);
}

export function putCards(name: string, items: unknown[], parts: CardParts): void {
  const list = element(name);
  const old = new Map([...list.children].map((card) => [card.getAttribute('data-id') ?? '', card]));
  const wanted = new Set(items.map((item) => textOf(item, 'id')));
  for (const [id, card] of old) if (!wanted.has(id)) card.remove();
  let next: Element | null = null;
  // From the last: a card that stays is never moved, which would take the focus out of it.
  for (const item of [...items].reverse()) {
    const before = old.get(textOf(item, 'id') ?? '');
    if (before?.getAttribute('data-version') === versionOf(item)) {
      next = before;
      continue;
    }
    const card = closedCard(item, parts);
    list.insertBefore(card, next);
    next = card;
    if (before === undefined) continue;
    before.remove();
    if (before.className.includes('open')) reopen(card, parts);
  }
  element(`${name}-part`).hidden = items.length === 0;
}

/** What was open stays open when somebody else changed it; without presence it stays closed. */
export function reopen(card: Element, parts: CardParts): void {
  readDetail(card.getAttribute('data-id') ?? '')
    .then((detail) => {
      card.replaceWith(openCard(detail, parts));
    })
    .catch(() => undefined);
}

/** `/approvals/apr_…`; empty on the other pages. */
export function linkedId(): string {
  return /^\/approvals\/([a-z]+_[a-z0-9]+)$/.exec(location.pathname)?.[1] ?? '';
}

/** Follows approvals on a stream of live events that is open already. */
export function followApprovals(source: EventSource, parts: CardParts): void {
  for (const name of ['approval.requested', 'approval.decided', 'approval.expired'])
    source.addEventListener(name, (event) => {
      const news = parseJson(event.data);
      sayEndOfOpen(news);
      parts.refresh(textOf(news, 'id') ?? '').catch(sayFailure);
    });
}

/** Who reads one that somebody else just ended is told, instead of seeing it vanish. */
export function sayEndOfOpen(news: unknown): void {
  if (textOf(news, 'state') === 'pending') return;
  const isOpen = [...element('waiting').children].some(
    (card) => card.getAttribute('data-id') === textOf(news, 'id') && card.className.includes('open'),
  );
  const by = textOf(news, 'by');
  if (isOpen) say(`${titleOf(news)}: ${doneText(news)}${by === null ? '' : `, by ${by}`}.`);
}
