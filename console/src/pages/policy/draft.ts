/** The draft that all tabs of the page work on: a text, and the document that it started from. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useAccess } from '../../access.ts';
import { type Check, checkQuery, type PolicyDocument } from './queries.ts';

/** 350 ms after the last letter the draft is checked. */
const CHECK_AFTER_MS = 350;

export interface Draft {
  /** What it started from; a save names its tag. */
  readonly base: PolicyDocument;
  readonly text: string;
  readonly isDirty: boolean;
  /** Another document came into force since the draft was begun. */
  readonly isOvertaken: boolean;
  /** May be changed by the viewer; a document of a file may be drafted, but not saved. */
  readonly mayEdit: boolean;
  readonly maySave: boolean;
  /** Null until the text as it is now was checked. */
  readonly check: Check | null;
  readonly isChecking: boolean;
  readonly checkError: unknown;
  readonly checkAgain: () => void;
  readonly setText: (text: string) => void;
  readonly discard: () => void;
  /** Keeps the text, upon the document that is in force now. */
  readonly rebase: () => void;
  /** After a save or a rollback: follows the document again. */
  readonly follow: () => void;
}

/** `current` is the document in force, which a draft without changes follows. */
export function useDraft(current: PolicyDocument): Draft {
  const { isAdmin } = useAccess();
  const [started, setStarted] = useState<{ readonly base: PolicyDocument; readonly text: string } | null>(
    null,
  );
  const isDirty = started !== null && started.text !== started.base.text;
  const base = isDirty ? started.base : current;
  const text = isDirty ? started.text : current.text;
  const settled = useSettled(text);
  const check = useQuery({ ...checkQuery(settled, current.version), enabled: isAdmin });
  return {
    base,
    text,
    isDirty,
    isOvertaken: isDirty && base.etag !== current.etag,
    mayEdit: isAdmin,
    maySave: isAdmin && current.source !== 'file',
    check: check.data?.text === text ? check.data : null,
    isChecking: isAdmin && (settled !== text || check.isPending),
    checkError: settled === text ? check.error : null,
    checkAgain: () => void check.refetch(),
    setText: (next) => setStarted({ base, text: next }),
    discard: () => setStarted(null),
    rebase: () => setStarted({ base: current, text }),
    follow: () => setStarted(null),
  };
}

/** The text once it has not changed for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), CHECK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
