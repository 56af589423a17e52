/** Whose a key's devices are: a person's, or nobody's with tags. */
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { ComboBox, TextField } from '../../ui/index.ts';
import type { NewKey } from './key-fields.ts';
import { type Tailnet, tailnetUsersQuery } from './network-queries.ts';

export function OwnerFields({ tailnet, draft }: { readonly tailnet: Tailnet; readonly draft: NewKey }) {
  const hasPeople = tailnet.kind === 'people';
  const users = useQuery({ ...tailnetUsersQuery(tailnet.name), enabled: hasPeople });
  const { fields, change } = draft;
  const owner = users.data?.items.find(({ role }) => role === 'owner')?.login;
  useEffect(() => {
    if (owner !== undefined && fields.user === null) change({ user: owner });
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- proposes the owner once they are known, not after each letter
  }, [owner]);
  return (
    <>
      {hasPeople && (
        <ComboBox
          label="Whose device"
          options={(users.data?.items ?? []).map(({ login }) => ({ id: login, label: login }))}
          value={fields.user}
          onChange={(user) => change({ user })}
          isDisabled={fields.tags.trim() !== ''}
          hint="It acts as this person. Servers get tags instead."
        />
      )}
      <TextField
        label={hasPeople ? 'Tags (instead of a person)' : 'Tags'}
        value={fields.tags}
        onChange={(tags) => change({ tags })}
        maxLength={500}
        placeholder="tag:server"
        error={draft.tagProblem}
        hint="The policy says what a tag may do, in “tagOwners” and “grants”."
      />
    </>
  );
}
