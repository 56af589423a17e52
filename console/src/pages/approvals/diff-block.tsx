/** Two texts as one, with marks at what goes and what comes; never by colour alone. */
import { lineDiff } from './line-diff.ts';

const SIGNS = { same: ' ', gone: '−', new: '+' } as const;

export function DiffBlock({
  before,
  after,
  label,
}: {
  readonly before: string;
  readonly after: string;
  readonly label: string;
}) {
  const lines = lineDiff(before, after);
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard
    <div className="diff" role="region" aria-label={label} tabIndex={0}>
      {lines.map(({ mark, text }, index) => (
        <div key={index} className={`diff-line ${mark}`}>
          <span aria-hidden className="diff-sign">
            {SIGNS[mark]}
          </span>
          {mark !== 'same' && (
            <span className="visually-hidden">{mark === 'gone' ? 'without: ' : 'with: '}</span>
          )}
          <span className="diff-text">{text}</span>
        </div>
      ))}
    </div>
  );
}
