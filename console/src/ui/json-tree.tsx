/** JSON that can be folded. Long texts and lists are cut, with a button for more: nothing is built that is not looked at. */
import { useState } from 'react';

/** Deeper is folded at first. */
const OPEN_DEPTH = 2;
const STEP = 100;
const TEXT_MAX = 2_000;

/** Shows any JSON value; `label` names it for screen readers. */
export function JsonTree({ value, label }: { readonly value: unknown; readonly label: string }) {
  return (
    <div className="json-tree" role="group" aria-label={label}>
      <Node name={null} value={value} depth={0} />
    </div>
  );
}

function Node({
  name,
  value,
  depth,
}: {
  readonly name: string | null;
  readonly value: unknown;
  readonly depth: number;
}) {
  const [isOpen, setOpen] = useState(depth < OPEN_DEPTH);
  const label = name === null ? null : <span className="json-key">{name}: </span>;
  if (typeof value !== 'object' || value === null)
    return (
      <div className="json-leaf">
        {label}
        <Leaf value={value} />
      </div>
    );
  const entries = Object.entries(value);
  const count = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  return (
    <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {label}
        <span className="soft">{count}</span>
      </summary>
      {isOpen && <Children entries={entries} depth={depth} />}
    </details>
  );
}

function Children({
  entries,
  depth,
}: {
  readonly entries: readonly (readonly [string, unknown])[];
  readonly depth: number;
}) {
  const [shown, setShown] = useState(STEP);
  return (
    <div className="json-children">
      {entries.slice(0, shown).map(([name, value]) => (
        <Node key={name} name={name} value={value} depth={depth + 1} />
      ))}
      {entries.length > shown && (
        <button type="button" className="link" onClick={() => setShown(shown + STEP)}>
          {entries.length - shown} more
        </button>
      )}
    </div>
  );
}

function Leaf({ value }: { readonly value: unknown }) {
  const [isWhole, setWhole] = useState(false);
  if (typeof value !== 'string') return <span className="json-atom">{String(value)}</span>;
  const isCut = !isWhole && value.length > TEXT_MAX;
  return (
    <>
      <span className="json-text">{JSON.stringify(isCut ? value.slice(0, TEXT_MAX) : value)}</span>
      {isCut && (
        <button type="button" className="link" onClick={() => setWhole(true)}>
          … {value.length - TEXT_MAX} more characters
        </button>
      )}
    </>
  );
}
