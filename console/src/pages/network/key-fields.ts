/** What a new auth key is asked for with, in dialogs that make one. */
import { useState } from 'react';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { type Action, useAction } from '../../presence/index.ts';
import type { Tailnet } from './network-queries.ts';
import { type LIVES, readTags } from './network-texts.ts';

export type MadeKey = Schema<'TailnetKey'> & { readonly key: string; readonly login_server: string };

export interface KeyFields {
  readonly user: string | null;
  readonly tags: string;
  readonly life: (typeof LIVES)[number]['id'];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly preauthorized: boolean;
  readonly description: string;
}

export interface NewKey {
  readonly fields: KeyFields;
  readonly change: (change: Partial<KeyFields>) => void;
  readonly tagProblem: string | null;
  /** Its devices belong to somebody, or have tags. */
  readonly isComplete: boolean;
  readonly made: MadeKey | null;
  readonly make: Action<void, MadeKey>;
}

/** `description` names it in the list where nobody typed a name. */
export function useNewKey(tailnet: Tailnet, description: string): NewKey {
  const [fields, setFields] = useState<KeyFields>({
    user: null,
    tags: '',
    life: '86400',
    reusable: false,
    ephemeral: false,
    preauthorized: true,
    description: '',
  });
  const [made, setMade] = useState<MadeKey | null>(null);
  const { tags, problem } = readTags(fields.tags);
  const make = useAction({
    run: () =>
      dataOf(
        api.POST('/api/v1/tailnets/{tailnet}/keys', {
          params: { path: { tailnet: tailnet.name } },
          body: {
            description: fields.description.trim() === '' ? description : fields.description.trim(),
            user: tags.length > 0 ? null : fields.user,
            tags: [...tags],
            reusable: fields.reusable,
            ephemeral: fields.ephemeral,
            preauthorized: fields.preauthorized,
            expires_in_sec: Number(fields.life),
          },
        }),
      ),
    done: null,
    changes: ['tailnets', 'audit'],
    onDone: setMade,
    onFailure: () => true,
  });
  return {
    fields,
    change: (change) => setFields((before) => ({ ...before, ...change })),
    tagProblem: problem,
    isComplete: problem === null && (tags.length > 0 || fields.user !== null),
    made,
    make,
  };
}
