/** Keys of the whole console: `g` and a letter go to a place, `/` to the search of a page, `?` explains. */
import { useEffect, useEffectEvent, useRef } from 'react';
import { useNavigate } from 'react-router';
import type { Place } from './navigation.ts';
import { Dialog } from '../ui/overlays.tsx';
import { Key } from '../ui/text.tsx';

/** 1.5 s between `g` and its letter. */
const SEQUENCE_MS = 1_500;

/** A page marks its search field with `data-search`, or with this id. */
const SEARCH = '[data-search] input, input[type="search"]';

/** Does nothing while somebody types or a dialog is open. */
export function useShortcuts(places: readonly Place[], onHelp: () => void): void {
  const navigate = useNavigate();
  const begun = useRef(0);
  const handle = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target))
      return;
    if (document.querySelector('[role="dialog"], [role="alertdialog"]') !== null) return;
    const place = places.find(({ key }) => key === event.key);
    if (event.timeStamp - begun.current < SEQUENCE_MS && place !== undefined) {
      begun.current = 0;
      event.preventDefault();
      void navigate(place.to);
    } else if (event.key === 'g') begun.current = event.timeStamp;
    else if (event.key === '?') onHelp();
    else if (event.key === '/') {
      const search = document.querySelector<HTMLElement>(SEARCH);
      if (search === null) return;
      event.preventDefault();
      search.focus();
    }
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent): void => handle(event);
    addEventListener('keydown', listener);
    return () => removeEventListener('keydown', listener);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function ShortcutHelp({
  places,
  isOpen,
  onClose,
}: {
  readonly places: readonly Place[];
  readonly isOpen: boolean;
  readonly onClose: () => void;
}) {
  return (
    <Dialog title="Keyboard shortcuts" isOpen={isOpen} onClose={onClose}>
      <dl className="shortcuts">
        {places.map(({ to, label, key }) => (
          <div key={to}>
            <dt>{label}</dt>
            <dd>
              <Key>g</Key> <Key>{key}</Key>
            </dd>
          </div>
        ))}
        <div>
          <dt>Search on this page</dt>
          <dd>
            <Key>/</Key>
          </dd>
        </div>
        <div>
          <dt>Rows of a table</dt>
          <dd>
            <Key>↑</Key> <Key>↓</Key> or <Key>j</Key> <Key>k</Key>
          </dd>
        </div>
        <div>
          <dt>This list</dt>
          <dd>
            <Key>?</Key>
          </dd>
        </div>
      </dl>
    </Dialog>
  );
}
