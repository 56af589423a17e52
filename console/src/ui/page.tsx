/** The parts that every page is made of. */
import { type ReactNode, useEffect, useId } from 'react';
import { Link } from 'react-router';

export interface PageProps {
  /** Heading, and the title of the window. */
  readonly title: string;
  /** One line: what this page is for. */
  readonly lead?: ReactNode;
  /** Buttons at the right of the heading. */
  readonly actions?: ReactNode;
  /** The list that this page belongs to: `{ to: '/sessions', label: 'Sessions' }`. */
  readonly parent?: { readonly to: string; readonly label: string };
  readonly children: ReactNode;
}

/** A whole page: sets the window's title and shows the one first-level heading. */
export function Page({ title, lead, actions, parent, children }: PageProps) {
  useEffect(() => {
    document.title = title === 'Home' ? 'Postern' : `${title} · Postern`;
  }, [title]);
  return (
    <div className="page">
      <PageHeader title={title} lead={lead} actions={actions} {...(parent === undefined ? {} : { parent })} />
      {children}
    </div>
  );
}

/** Heading, lead and actions; `Page` shows it. */
export function PageHeader({ title, lead, actions, parent }: Omit<PageProps, 'children'>) {
  return (
    <header className="page-header">
      <div>
        {parent !== undefined && (
          <nav aria-label="Breadcrumb" className="breadcrumb">
            <Link to={parent.to}>{parent.label}</Link> <span aria-hidden>/</span>
          </nav>
        )}
        <h1 tabIndex={-1}>{title}</h1>
        {lead !== undefined && <p className="lead">{lead}</p>}
      </div>
      {actions !== undefined && <div className="actions">{actions}</div>}
    </header>
  );
}

/** A titled part of a page. `title` null where what is around says it; then give `label`. */
export function Card({
  title,
  label,
  hint,
  actions,
  flush = false,
  children,
}: {
  readonly title: ReactNode | null;
  readonly label?: string;
  readonly hint?: ReactNode;
  readonly actions?: ReactNode;
  /** No room around what is in it, as for tables. */
  readonly flush?: boolean;
  readonly children: ReactNode;
}) {
  const id = useId();
  return (
    <section
      className={flush ? 'card flush' : 'card'}
      {...(title === null ? { 'aria-label': label } : { 'aria-labelledby': id })}
    >
      {(title !== null || actions !== undefined) && (
        <header className="card-head">
          <div>
            {title !== null && <h2 id={id}>{title}</h2>}
            {hint !== undefined && <p className="soft">{hint}</p>}
          </div>
          {actions !== undefined && <div className="actions">{actions}</div>}
        </header>
      )}
      <div className="card-body">{children}</div>
    </section>
  );
}

/** One figure with its name; `note` for a comparison or a limit. */
export function Stat({
  label,
  value,
  note,
  children,
}: {
  readonly label: string;
  readonly value: ReactNode;
  readonly note?: ReactNode;
  /** Below, such as a sparkline. */
  readonly children?: ReactNode;
}) {
  return (
    <div className="stat">
      <dt>{label}</dt>
      <dd>
        <span className="stat-value">{value}</span>
        {note !== undefined && <span className="stat-note">{note}</span>}
        {children}
      </dd>
    </div>
  );
}

/** Stats side by side. */
export function Stats({ children }: { readonly children: ReactNode }) {
  return <dl className="stats">{children}</dl>;
}

/** Names and values below each other. Values from strangers are text. */
export function Facts({ facts }: { readonly facts: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Filters and such above a list; it wraps on a phone. */
export function Toolbar({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <div className="toolbar" role="group" aria-label={label}>
      {children}
    </div>
  );
}
