/**
 * Reading what another person asked and was answered: with a reason, in person, and recorded in the
 * audit log (DESIGN section 5). One's own words need none of this.
 */
import { BookLock } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { usePresence } from '../presence/index.ts';
import { Button, EmptyState, TextField } from '../ui/index.ts';

/** What the server requires of a reason. */
const REASON_MIN = 3;

/** With what somebody's words are asked for: null for one's own, else the reason. */
export type Reading = { readonly reason: string | null };

/** Asks for a reason before `children`; `own` words are shown at once. */
export function ReadingGate({
  isOwn,
  isAllowed,
  whose,
  children,
}: {
  readonly isOwn: boolean;
  /** Auditors and admins. */
  readonly isAllowed: boolean;
  /** Whose words, for people. */
  readonly whose: string;
  readonly children: (reading: Reading) => ReactNode;
}) {
  const [reason, setReason] = useState<string | null>(null);
  if (isOwn) return children({ reason: null });
  if (!isAllowed)
    return (
      <EmptyState title="These words are not yours to read" icon={BookLock}>
        Leads see what their group used, not what was said. Auditors and admins may read it with a reason.
      </EmptyState>
    );
  if (reason !== null) return children({ reason });
  return <ReasonForm whose={whose} onReason={setReason} />;
}

/** The form for the reason, alone: for pages that show something without the words too. */
export function ReasonForm({
  whose,
  onReason,
}: {
  readonly whose: string;
  readonly onReason: (reason: string) => void;
}) {
  const [typed, setTyped] = useState('');
  const [error, setError] = useState<string | null>(null);
  const enter = (): void => {
    if (typed.trim().length < REASON_MIN) setError('Say why, in a few words.');
    else onReason(typed.trim());
  };
  return (
    <EmptyState
      title="These are another person’s words"
      icon={BookLock}
      action={
        <div className="stack reading-form">
          <TextField
            label="Why do you read this?"
            value={typed}
            onChange={setTyped}
            onEnter={enter}
            error={error}
            maxLength={500}
          />
          <Button kind="primary" onPress={enter}>
            Read it
          </Button>
        </div>
      }
    >
      <span className="stranger">{whose}</span> said or was told them. Your reason, your name and the time go
      to the audit log, and you show that you are here in person.
    </EmptyState>
  );
}

/** Wraps a question for words, so that presence is asked for in place where the server wants it. */
export function useReader(): <Result>(ask: () => Promise<Result>) => Promise<Result> {
  return usePresence().inPerson;
}

/** The member `reason` of a question, if there is one. */
export function reasonOf({ reason }: Reading): { reason?: string } {
  return reason === null ? {} : { reason };
}
