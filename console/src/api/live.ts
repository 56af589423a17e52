/**
 * Live events (Server-Sent Events): one connection for the whole console, open while somebody
 * listens and the page is seen, because a browser keeps six connections to one server at most.
 * There is no replay: after `gap` a listener asks again for what it shows.
 */
import { useEffect, useEffectEvent, useSyncExternalStore } from 'react';
import type { Schema } from './client.ts';

/** Data of `request.started`; what of it the caller says (`agent`) is no authority. */
export interface StartedRequest {
  readonly id: string;
  readonly started_at: string;
  readonly principal: string;
  readonly user_label: string;
  readonly agent: string | null;
  readonly format: string;
  readonly requested_model: string | null;
  readonly provider: string | null;
  readonly model: string | null;
}

/** Data of the budget events; amounts are in `unit`, `usd` in nano-dollars. */
export interface BudgetCrossing {
  readonly at: string;
  readonly bucket: string;
  readonly quota: string;
  readonly unit: string;
  readonly capacity: number;
  readonly remaining: number;
  readonly threshold?: number;
}

/** Data of the approval events: enough to know what to ask for again. */
export interface ApprovalNews {
  readonly id: string;
  readonly [member: string]: unknown;
}

/** Data of `config.changed` and `config.failed`. */
export interface DocumentNews {
  readonly at: string;
  readonly version: number | null;
  readonly message: string | null;
}

/** Every event by its name. */
export interface LiveEvents {
  'request.started': StartedRequest;
  'request.finished': Schema<'Request'>;
  'approval.requested': ApprovalNews;
  'approval.decided': ApprovalNews;
  'approval.expired': ApprovalNews;
  'budget.warned': BudgetCrossing;
  'budget.exhausted': BudgetCrossing;
  'budget.overrun': BudgetCrossing;
  'config.changed': DocumentNews;
  'config.failed': DocumentNews;
  /** Made here: the stream opened, so that anything may have been missed before. */
  gap: null;
}

export type LiveName = keyof LiveEvents;

/** `paused` while the page is hidden, `refused` where the server does not let this viewer listen. */
export type LiveState = 'idle' | 'connecting' | 'live' | 'paused' | 'refused';

/** Names that the server sends. */
const NAMES = [
  'request.started',
  'request.finished',
  'approval.requested',
  'approval.decided',
  'approval.expired',
  'budget.warned',
  'budget.exhausted',
  'budget.overrun',
  'config.changed',
  'config.failed',
] as const satisfies readonly Exclude<LiveName, 'gap'>[];

/** 5 s after a refusal (too many streams, a restart behind a proxy) it is tried again. */
const RETRY_MS = 5_000;

type Listener = (name: LiveName, data: unknown) => void;

const listeners = new Set<Listener>();
const watchers = new Set<() => void>();
let source: EventSource | null = null;
let state: LiveState = 'idle';
let retry: ReturnType<typeof setTimeout> | null = null;
let watchesVisibility = false;
let isAllowed = false;

/** Hears these events while the component is shown. The handler may be new at every render. */
export function useLive<Name extends LiveName>(
  names: readonly Name[],
  handler: (event: { [Each in Name]: { name: Each; data: LiveEvents[Each] } }[Name]) => void,
): void {
  const handle = useEffectEvent((name: LiveName, data: unknown) => {
    const wanted: readonly LiveName[] = names;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this server's own event of that name
    if (wanted.includes(name)) handler({ name, data } as Parameters<typeof handler>[0]);
  });
  useEffect(() => {
    const listener: Listener = (name, data) => handle(name, data);
    return listen(listener);
  }, []);
}

/** Whether the viewer may listen at all: the server refuses those without a role. */
export function allowLive(allowed: boolean): void {
  isAllowed = allowed;
  follow();
}

/** Whether events arrive now; a component that shows it must also use `useLive`. */
export function useLiveState(): LiveState {
  return useSyncExternalStore(watchState, () => state);
}

function watchState(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function listen(listener: Listener): () => void {
  listeners.add(listener);
  if (!watchesVisibility) {
    watchesVisibility = true;
    document.addEventListener('visibilitychange', follow);
    addEventListener('online', follow);
  }
  follow();
  return () => {
    listeners.delete(listener);
    // The next page may listen in a moment; a new connection for each would lose events.
    setTimeout(follow, 0);
  };
}

/** Opens or closes the stream, as is wanted now. */
function follow(): void {
  const isWanted = isAllowed && listeners.size > 0 && !document.hidden;
  if (isWanted && source === null) open();
  if (!isWanted && (source !== null || retry !== null || state === 'refused')) close();
  if (!isWanted) become(isAllowed && listeners.size > 0 ? 'paused' : 'idle');
}

function open(): void {
  stopRetry();
  become('connecting');
  const opened = new EventSource('/api/v1/events');
  source = opened;
  opened.addEventListener('open', () => {
    become('live');
    tell('gap', null);
  });
  opened.addEventListener('error', () => {
    if (source !== opened) return;
    if (opened.readyState !== EventSource.CLOSED) {
      become('connecting');
      return;
    }
    source = null;
    become('refused');
    retry = setTimeout(() => {
      retry = null;
      follow();
    }, RETRY_MS);
  });
  for (const name of NAMES)
    opened.addEventListener(name, (event) => {
      const data = parsed(event.data);
      if (data !== null) tell(name, data);
    });
}

function close(): void {
  stopRetry();
  source?.close();
  source = null;
}

function stopRetry(): void {
  if (retry !== null) clearTimeout(retry);
  retry = null;
}

function tell(name: LiveName, data: unknown): void {
  for (const listener of listeners) listener(name, data);
}

function become(next: LiveState): void {
  if (state === next) return;
  state = next;
  for (const watcher of watchers) watcher();
}

function parsed(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
