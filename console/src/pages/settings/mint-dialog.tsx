/** Makes a token, and shows it this once. */
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Checkbox, CodeBlock, Dialog, Notice, Select, TextField } from '../../ui/index.ts';

const SCOPES = [
  { id: 'use', label: 'Use models', needsAdmin: false },
  { id: 'read', label: 'Read usage, records and settings', needsAdmin: false },
  { id: 'admin', label: 'Administer: change the policy, keys and tokens', needsAdmin: true },
  { id: 'metrics', label: 'Read metrics', needsAdmin: true },
] as const;
type Scope = (typeof SCOPES)[number]['id'];

const SPANS = [
  { id: '86400', label: 'A day' },
  { id: '604800', label: 'A week' },
  { id: '2592000', label: '30 days' },
  { id: '7776000', label: '90 days' },
  { id: '31536000', label: 'A year' },
] as const;

export function MintDialog({ onClose }: { readonly onClose: () => void }) {
  const { isAdmin } = useAccess();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<ReadonlySet<Scope>>(new Set<Scope>(['use']));
  const [span, setSpan] = useState<(typeof SPANS)[number]['id']>('2592000');
  const [models, setModels] = useState('');
  const [owner, setOwner] = useState('');
  const [token, setToken] = useState<string | null>(null);
  const mint = useAction({
    run: () => {
      const globs = models.split(/[\s,]+/).filter((glob) => glob !== '');
      return dataOf(
        api.POST('/api/v1/tokens', {
          body: {
            name: name.trim(),
            scopes: [...scopes],
            models: globs.length === 0 ? null : globs,
            expires_in_sec: Number(span),
            ...(owner.trim() === '' ? {} : { owner: `service:${owner.trim().replace(/^service:/, '')}` }),
          },
        }),
      );
    },
    done: null,
    changes: ['tokens', 'audit'],
    onDone: (minted) => setToken(minted.token),
    onFailure: () => true,
  });
  if (token !== null)
    return (
      <Dialog
        title="The token is made"
        isOpen
        isDismissable={false}
        onClose={onClose}
        footer={
          <Button kind="primary" onPress={onClose}>
            I have kept it
          </Button>
        }
      >
        <Notice tone="warn">Copy it now: it is shown this once, and kept nowhere.</Notice>
        <CodeBlock title="Token" text={token} />
        <p className="soft">
          Programs send it as <code>Authorization: Bearer …</code>, or wherever their API key goes.
        </p>
      </Dialog>
    );
  const isAsked = mint.error !== null && !mint.isBusy;
  return (
    <Dialog
      title="Make a token"
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button
            kind="primary"
            busy={mint.isBusy}
            isDisabled={name.trim() === '' || scopes.size === 0}
            onPress={() => mint.start()}
          >
            Make the token
          </Button>
        </>
      }
    >
      {isAsked && <Notice tone="bad">{messageOf(mint.error)}</Notice>}
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        maxLength={80}
        placeholder="ci of the web site"
        autoFocus
      />
      <fieldset className="settings-fieldset">
        <legend>It may</legend>
        {SCOPES.filter(({ needsAdmin }) => isAdmin || !needsAdmin).map(({ id, label }) => (
          <Checkbox
            key={id}
            label={label}
            checked={scopes.has(id)}
            onChange={(checked) => {
              const next = new Set(scopes);
              if (checked) next.add(id);
              else next.delete(id);
              setScopes(next);
            }}
          />
        ))}
      </fieldset>
      <Select label="It ends after" options={SPANS} value={span} onChange={setSpan} />
      <TextField
        label="Only these models (optional)"
        value={models}
        onChange={setModels}
        placeholder="openai/gpt-*"
        hint="Patterns over provider/model. Empty: all that its owner may use."
      />
      {isAdmin && (
        <TextField
          label="For a service (optional)"
          value={owner}
          onChange={setOwner}
          placeholder="service:ci"
          hint="A principal that grants of the policy name. Empty: it acts as you."
        />
      )}
    </Dialog>
  );
}
