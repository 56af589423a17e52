/** What the check found in a draft: problems with their places, and tests that do not hold. */
import { CircleAlert, CircleCheck, Info, TriangleAlert } from 'lucide-react';
import { ErrorState } from '../../ui/index.ts';
import type { Target } from './document-editor.tsx';
import type { Draft } from './draft.ts';
import type { Problem } from './queries.ts';

const ICONS = { error: CircleAlert, warning: TriangleAlert, note: Info } as const;
const TONES = { error: 'bad', warning: 'warn', note: 'soft' } as const;
/** More are counted, not listed. */
const SHOWN_MAX = 100;

export function Problems({
  draft,
  onGo,
}: {
  readonly draft: Draft;
  /** Goes to a place in the editor, where there is one. */
  readonly onGo?: (target: Target) => void;
}) {
  const { check, checkError } = draft;
  if (checkError !== null && checkError !== undefined)
    return <ErrorState error={checkError} what="The draft could not be checked" retry={draft.checkAgain} />;
  if (check === null) return null;
  const { problems, failures } = check;
  if (problems.length === 0 && failures.length === 0)
    return draft.isDirty ? (
      <p className="row good">
        <CircleCheck aria-hidden size={16} /> No problems, and every test holds.
      </p>
    ) : null;
  return (
    <ul className="problems" aria-label="Problems">
      {problems.slice(0, SHOWN_MAX).map((problem, index) => (
        <ProblemLine key={index} problem={problem} {...(onGo === undefined ? {} : { onGo })} />
      ))}
      {problems.length > SHOWN_MAX && <li className="soft">and {problems.length - SHOWN_MAX} more</li>}
      {failures.map((failure, index) => (
        <li key={`test ${index}`}>
          <CircleAlert aria-hidden size={16} className="bad" />
          <p className="stranger">
            <code>{failure.path}</code> does not hold:{' '}
            {failure.model !== null && (
              <>
                <code>{failure.model}</code>{' '}
              </>
            )}
            should be {failure.expected}, is {failure.got}.
          </p>
        </li>
      ))}
    </ul>
  );
}

function ProblemLine({
  problem,
  onGo,
}: {
  readonly problem: Problem;
  readonly onGo?: (target: Target) => void;
}) {
  const { severity, line, column, path, message, fix } = problem;
  const Icon = ICONS[severity];
  const place = `line ${line}`;
  return (
    <li>
      <Icon aria-hidden size={16} className={TONES[severity]} />
      <p className="stranger">
        <span className="visually-hidden">{severity}: </span>
        {onGo === undefined || line < 1 ? (
          <span className="soft">{line < 1 ? path : place}: </span>
        ) : (
          <>
            <button type="button" className="link" onClick={() => onGo({ line, column })}>
              {place}
            </button>
            :{' '}
          </>
        )}
        {message}
        {fix !== '' && <span className="soft"> {fix}</span>}
      </p>
    </li>
  );
}
