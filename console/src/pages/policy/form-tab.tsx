/**
 * The common cases as forms: providers, grants and budgets. A form edits the same draft as the text
 * does, through the server, which keeps every comment where it stands.
 */
import { useMutation } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { Card, EmptyState, useToasts } from '../../ui/index.ts';
import type { Draft } from './draft.ts';
import { BudgetsForm } from './form-budgets.tsx';
import { GrantsForm } from './form-grants.tsx';
import type { Edit, FormPartProps } from './form-edits.ts';
import { ProvidersForm } from './form-providers.tsx';
import { readDocument } from './hujson.ts';

export function FormTab({ draft }: { readonly draft: Draft }) {
  const toasts = useToasts();
  const edit = useMutation({
    mutationFn: (edits: readonly Edit[]) =>
      dataOf(api.POST('/api/v1/config/edit', { body: { text: draft.text, edits: [...edits] } })),
    onSuccess: ({ text }) => draft.setText(text),
    onError: (error) => toasts.failure(error),
  });
  const document = draft.text.trim() === '' ? {} : readDocument(draft.text);
  if (document === null)
    return (
      <Card title="Form">
        <EmptyState title="The draft cannot be read">
          Mend the problem on the tab Document first; then the forms show what it says.
        </EmptyState>
      </Card>
    );
  const part: FormPartProps = {
    document,
    isReadOnly: !draft.mayEdit,
    isBusy: edit.isPending,
    apply: (edits, onDone) => edit.mutate(edits, { onSuccess: onDone }),
  };
  return (
    <>
      <ProvidersForm {...part} />
      <GrantsForm {...part} />
      <BudgetsForm {...part} />
    </>
  );
}
