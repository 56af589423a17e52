/**
 * Presence in place: what needs a person is tried; refused with `presence_required`, a dialog asks
 * for a passkey or a code, and the action runs once more. Closing the dialog gives the refusal back.
 */
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useCallback, useMemo, useRef, useState } from 'react';
import { ApiProblem, isProblem } from '../api/problem.ts';
import { useMe } from '../access.ts';
import { PresenceDialog } from './presence-dialog.tsx';

export interface PresenceDesk {
  /** Runs what needs presence, asking for it in place. Rejects as the action does, or with the refusal if nobody shows up. */
  readonly inPerson: <Result>(action: () => Promise<Result>) => Promise<Result>;
  /** Until when the viewer is present (RFC 3339), or null; as of the last time it was asked. */
  readonly until: string | null;
}

const PresenceContext = createContext<PresenceDesk['inPerson'] | null>(null);

/** How a page does what needs presence; most use `useAction`. */
export function usePresence(): PresenceDesk {
  const inPerson = use(PresenceContext);
  if (inPerson === null) throw new Error('usePresence outside of the frame');
  const until = useMe().presence_until;
  return useMemo(() => ({ inPerson, until }), [inPerson, until]);
}

/** The refusal in words for who closed the dialog: the server's are for programs. */
function notShown(refusal: ApiProblem): ApiProblem {
  const { status, code, title, requestId, presenceUrl, members } = refusal;
  const detail = 'nothing was done: this needs you in person';
  return new ApiProblem({ status, code, title, detail, requestId, presenceUrl, members });
}

export function PresenceProvider({ children }: { readonly children: ReactNode }) {
  const [isAsking, setAsking] = useState(false);
  const waiting = useRef<((isPresent: boolean) => void)[]>([]);
  const queries = useQueryClient();
  const settle = useCallback(
    (isPresent: boolean) => {
      setAsking(false);
      for (const resolve of waiting.current.splice(0)) resolve(isPresent);
      if (isPresent) void queries.invalidateQueries({ queryKey: ['whoami'] });
    },
    [queries],
  );
  const inPerson = useCallback(async <Result,>(action: () => Promise<Result>): Promise<Result> => {
    try {
      return await action();
    } catch (error) {
      if (!isProblem(error, 'presence_required')) throw error;
      const isPresent = await new Promise<boolean>((resolve) => {
        waiting.current.push(resolve);
        setAsking(true);
      });
      if (!isPresent) throw notShown(error);
    }
    return action();
  }, []);
  return (
    <PresenceContext value={inPerson}>
      {children}
      {isAsking && <PresenceDialog onPresent={() => settle(true)} onClose={() => settle(false)} />}
    </PresenceContext>
  );
}
