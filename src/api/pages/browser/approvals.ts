/**
 * The approvals page: the one that a link names, what else waits for me, and what I asked. Opening it
 * shows and decides nothing; a decision is a click of a person whose presence the server checks.
 */
import { openCard, versionOf } from './approval-cards.ts';
import { followApprovals, linkedId, showLists } from './approval-lists.ts';
import type { CardParts } from './approval-texts.ts';
import { call, element, listOf, say, sayFailure, textOf } from './shared.ts';

/** Starts the page. */
export function startApprovals(): void {
  showApprovals().catch(sayFailure);
}

export async function showApprovals(): Promise<void> {
  const me = await call('GET', '/api/v1/whoami');
  element('who').textContent = `You are ${textOf(me, 'label') ?? ''}.`;
  const refresh = async (id = linkedId()): Promise<void> => {
    // Reading one in full is recorded, so it is read again only where it changed.
    await Promise.all([id === linkedId() ? showLinked(parts) : null, showLists(parts)]);
    element('nothing').hidden = element('linked').children.length + element('waiting').children.length > 0;
  };
  const parts: CardParts = { principal: textOf(me, 'principal') ?? '', refresh };
  await refresh();
  // Live events are for those with a role; others ask for their first model here, and load the page again.
  if (listOf(me, 'roles').length > 0) followWhileSeen(parts);
}

/** The one that the address names, changed only where it is different. */
export async function showLinked(parts: CardParts): Promise<void> {
  const id = linkedId();
  if (id === '') return;
  const detail = await call('GET', `/api/v1/approvals/${encodeURIComponent(id)}`).catch((error: unknown) => {
    if (textOf(error, 'code') !== 'not_found') throw error;
    say('There is no such approval, or it is not for you to see.', true);
    return null;
  });
  const list = element('linked');
  const [before] = list.children;
  element('linked-part').hidden = detail === null;
  if (detail === null) list.replaceChildren();
  else if (before?.getAttribute('data-version') !== versionOf(detail))
    list.replaceChildren(openCard(detail, parts));
}

/** A hidden tab holds none of the six connections that a browser keeps to one server. */
export function followWhileSeen(parts: CardParts): void {
  let events: EventSource | null = null;
  const open = (): void => {
    events = new EventSource('/api/v1/events');
    followApprovals(events, parts);
    // Once more, for what changed while nobody listened.
    events.addEventListener('open', () => {
      parts.refresh().catch(sayFailure);
    });
  };
  document.addEventListener('visibilitychange', () => {
    events?.close();
    if (!document.hidden) open();
  });
  if (!document.hidden) open();
}
