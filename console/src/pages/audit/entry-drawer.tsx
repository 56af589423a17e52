/** One entry in full. */
import { Link } from 'react-router';
import type { Schema } from '../../api/client.ts';
import { Time } from '../../format/index.ts';
import { CopyButton, Drawer, Facts, JsonTree, Mono } from '../../ui/index.ts';
import { actionText } from './action-texts.ts';
import { TargetLink } from './target-link.tsx';

export function EntryDrawer({
  seq,
  entry,
  onClose,
}: {
  readonly seq: number;
  /** Null where the list does not hold it. */
  readonly entry: Schema<'AuditEntry'> | null;
  readonly onClose: () => void;
}) {
  return (
    <Drawer title={`Entry ${seq}`} isOpen onClose={onClose}>
      {entry === null ? (
        <p>This entry is not on this page of the list: widen the time or the filters.</p>
      ) : (
        <div className="audit-entry">
          <p className="audit-headline">{actionText(entry.action)}</p>
          <Facts facts={factsOf(entry)} />
          {Object.keys(entry.facts).length > 0 && (
            <>
              <h3>Facts</h3>
              <JsonTree value={entry.facts} label="Facts" />
            </>
          )}
          <p className="audit-more">
            <Link to={`/audit?actor=${encodeURIComponent(entry.actor)}`}>All by the same person</Link>
            {entry.target !== '' && (
              <Link to={`/audit?target=${encodeURIComponent(entry.target)}`}>All about the same thing</Link>
            )}
          </p>
          <CopyButton text={JSON.stringify(entry, null, 2)} label="Copy the entry" />
        </div>
      )}
    </Drawer>
  );
}

function factsOf(entry: Schema<'AuditEntry'>): readonly (readonly [string, React.ReactNode])[] {
  const { actor, actor_label: label } = entry;
  return [
    ['When', <Time key="at" at={entry.at} />],
    [
      'Who',
      <span key="who" className="stranger">
        {label === '' || label === actor ? actor : `${label} (${actor})`}
      </span>,
    ],
    ['Action', <Mono key="action">{entry.action}</Mono>],
    ['Of what', <TargetLink key="target" target={entry.target} />],
    ['Came by', entry.door],
    ['In person', entry.presence ?? 'no'],
    ...(entry.reason === null
      ? []
      : ([
          [
            'Reason',
            <span key="reason" className="stranger">
              {entry.reason}
            </span>,
          ],
        ] as const)),
    [
      'Hash',
      <code key="hash" className="stranger">
        {entry.hash}
      </code>,
    ],
  ];
}
