/** What a button does: one change through the API, with presence in place, told in a toast. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { isProblem } from '../api/problem.ts';
import { useToasts } from '../ui/toasts.tsx';
import { usePresence } from './presence.tsx';

export interface ActionOptions<Input, Result> {
  /** Calls the API; it may run a second time after presence was shown. */
  readonly run: (input: Input) => Promise<Result>;
  /** Words for the toast when it is done; null for none. */
  readonly done: string | ((result: Result, input: Input) => string | null) | null;
  /** First words of the keys of questions whose answers it changes: `['keys', 'audit']`. */
  readonly changes?: readonly string[];
  readonly onDone?: (result: Result, input: Input) => void;
  /** Deals with a failure itself, such as at a field; true if it did, so that no toast says it. */
  readonly onFailure?: (error: unknown) => boolean;
}

export interface Action<Input, Result> {
  readonly start: (input: Input) => void;
  /** As `start`, for who waits for the result; rejects with the failure, which a toast has said. */
  readonly startAsync: (input: Input) => Promise<Result>;
  readonly isBusy: boolean;
  readonly error: unknown;
}

/** See above. A presence dialog that was closed is no failure and says nothing. */
export function useAction<Result, Input = void>(
  options: ActionOptions<Input, Result>,
): Action<Input, Result> {
  const { inPerson } = usePresence();
  const queries = useQueryClient();
  const toasts = useToasts();
  const mutation = useMutation({
    mutationFn: (input: Input) => inPerson(() => options.run(input)),
    onSuccess: async (result, input) => {
      const text = typeof options.done === 'function' ? options.done(result, input) : options.done;
      if (text !== null) toasts.good(text);
      options.onDone?.(result, input);
      await Promise.all((options.changes ?? []).map((key) => queries.invalidateQueries({ queryKey: [key] })));
    },
    onError: (error) => {
      if (isProblem(error, 'presence_required') || options.onFailure?.(error) === true) return;
      toasts.failure(error);
    },
  });
  return {
    start: (input) => mutation.mutate(input),
    startAsync: (input) => mutation.mutateAsync(input),
    isBusy: mutation.isPending,
    error: mutation.error,
  };
}
