/** What a page shows when it has nothing, waits, or failed; and small marks of state. */
import { CircleAlert, Inbox, type LucideIcon } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { ApiProblem, isProblem, messageOf } from '../api/problem.ts';
import { Button } from './buttons.tsx';

/** Nothing yet: says what would be here and what to do so that it is. */
export function EmptyState({
  title,
  icon: Icon = Inbox,
  children,
  action,
}: {
  readonly title: string;
  readonly icon?: LucideIcon;
  readonly children?: ReactNode;
  readonly action?: ReactNode;
}) {
  return (
    <div className="empty">
      <Icon aria-hidden size={28} />
      <p className="empty-title">{title}</p>
      {children !== undefined && <div className="soft">{children}</div>}
      {action}
    </div>
  );
}

/** Something failed: what, why in the server's words, and what to do. */
export function ErrorState({
  error,
  what,
  retry,
  isRetrying = false,
}: {
  readonly error: unknown;
  /** What could not be done: `The sessions could not be loaded`. */
  readonly what: string;
  readonly retry?: () => void;
  /** It is being tried again; what failed before stays to be read. */
  readonly isRetrying?: boolean;
}) {
  return (
    <div className="error-state" role="alert">
      <CircleAlert aria-hidden size={22} />
      <div>
        <p className="empty-title">{what}</p>
        <p>{messageOf(error)}</p>
        <p className="soft">{adviceOf(error)}</p>
        {retry !== undefined && (
          <Button small busy={isRetrying} onPress={retry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

/** Above what is shown of before: it could not be brought up to date. What the offline banner says is not said twice. */
export function StaleNotice({ error, retry }: { readonly error: unknown; readonly retry?: () => void }) {
  if (error === null || error === undefined || isProblem(error, 'unreachable')) return null;
  return (
    <div className="notice warn stale-notice" role="status">
      <p>
        <strong>This may be old: it could not be brought up to date.</strong> {messageOf(error)}{' '}
        {adviceOf(error)}
      </p>
      {retry !== undefined && (
        <Button small onPress={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** The failure that is to be shown: the present one, or, while it is tried again without an answer yet, the last one. */
export function useShownError(error: unknown, isAnswered: boolean): unknown {
  const [kept, setKept] = useState<unknown>(null);
  const next = error ?? (isAnswered ? null : kept);
  if (next !== kept) setKept(next);
  return next;
}

function adviceOf(error: unknown): string {
  if (!(error instanceof ApiProblem)) return 'Load the page again; if it stays, tell the operator.';
  if (error.status === 0) return 'What you saw before is kept; it goes on by itself when the server is back.';
  if (error.code === 'presence_required') return 'Try again, and use your passkey or a code.';
  if (error.code === 'role_missing' || error.code === 'not_yours')
    return 'An admin can grant you the role for this.';
  if (error.status === 404) return 'It may have been removed, or it is not yours to see.';
  if (error.status === 429) return 'Wait a moment, then try again.';
  if (error.status >= 500)
    return `The operator finds the cause in the log${error.requestId === null ? '' : ` by request id ${error.requestId}`}.`;
  return 'Change what you asked for, then try again.';
}

/** Lines that stand in for what is loading; screen readers hear `label`. */
export function Skeleton({
  lines = 3,
  label = 'Loading',
}: {
  readonly lines?: number;
  readonly label?: string;
}) {
  return (
    <div className="skeleton" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}

/** The three states of a question around what shows its answer; old data stays visible while it is asked again. */
export function Loaded<Data>({
  query,
  what,
  lines,
  children,
}: {
  readonly query: {
    readonly data: Data | undefined;
    readonly error: unknown;
    readonly refetch: () => unknown;
  };
  /** For the failure: `The sessions could not be loaded`. */
  readonly what: string;
  readonly lines?: number;
  readonly children: (data: Data) => ReactNode;
}) {
  const { data, error } = query;
  const shown = useShownError(error, data !== undefined);
  const retry = (): void => void query.refetch();
  if (data !== undefined)
    return (
      <>
        <StaleNotice error={shown} retry={retry} />
        {children(data)}
      </>
    );
  if (shown !== null)
    return <ErrorState error={shown} what={what} retry={retry} isRetrying={error !== shown} />;
  return <Skeleton {...(lines === undefined ? {} : { lines })} />;
}

export type Tone = 'good' | 'bad' | 'warn' | 'info' | 'neutral';

/** A short word with a colour; never the colour alone. */
export function Badge({
  tone = 'neutral',
  children,
}: {
  readonly tone?: Tone;
  readonly children: ReactNode;
}) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

const TONES: Readonly<Record<string, Tone>> = {
  ok: 'good',
  approved: 'good',
  used: 'good',
  allow: 'good',
  allowed: 'good',
  active: 'good',
  healthy: 'good',
  refused: 'bad',
  denied: 'bad',
  deny: 'bad',
  block: 'bad',
  blocked: 'bad',
  revoked: 'bad',
  failed: 'bad',
  upstream_error: 'bad',
  upstream_failed: 'bad',
  gateway_error: 'bad',
  pending: 'warn',
  ask: 'warn',
  held: 'warn',
  truncated: 'warn',
  client_abort: 'warn',
  retired: 'neutral',
  expired: 'neutral',
  withdrawn: 'neutral',
  running: 'info',
};

/** An outcome, a decision or a state by its word on the wire; an unknown word is neutral. */
export function StateBadge({ state }: { readonly state: string }) {
  return (
    <Badge tone={Object.hasOwn(TONES, state) ? (TONES[state] ?? 'neutral') : 'neutral'}>
      {state.replaceAll('_', ' ')}
    </Badge>
  );
}

/** A notice within a page. */
export function Notice({ tone = 'info', children }: { readonly tone?: Tone; readonly children: ReactNode }) {
  return <div className={`notice ${tone}`}>{children}</div>;
}

/** A bar that is filled by `share` (0 to 1, more is full); `label` says it in words. */
export function Meter({
  share,
  label,
  tone = 'info',
}: {
  readonly share: number;
  readonly label: string;
  readonly tone?: Tone;
}) {
  const bounded = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
  return (
    <div
      className={`meter ${tone}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(bounded * 100)}
    >
      <span style={{ width: `${bounded * 100}%` }} />
    </div>
  );
}
