/** Enters a key: at once, or staged so that it can be tested before anybody depends on it. */
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Checkbox, Dialog, Notice, Select, TextField } from '../../ui/index.ts';
import { keyName, type ProviderKey } from './provider-texts.ts';

const NAME_MAX = 100;
/** As the API: a service account's key with its certificates. */
const SECRET_MAX = 32 * 1024;

export function AddKeyDialog({
  providers,
  successorOf,
  onClose,
}: {
  /** One, or those to choose from. */
  readonly providers: readonly string[];
  /** The key that it is to replace: then it is staged. */
  readonly successorOf?: ProviderKey;
  readonly onClose: () => void;
}) {
  const [provider, setProvider] = useState(providers[0] ?? '');
  const [name, setName] = useState(successorOf?.name ?? 'default');
  const [secret, setSecret] = useState('');
  const [isStaged, setStaged] = useState(true);
  const add = useAction({
    run: () =>
      dataOf(
        api.POST('/api/v1/keys', {
          body: { provider, name, secret: secret.trim(), state: isStaged ? 'staged' : 'active' },
        }),
      ),
    done: (key) =>
      key.state === 'staged'
        ? `${keyName(key)} is staged: test it, then promote it.`
        : `${keyName(key)} is in use.`,
    changes: ['providers', 'keys', 'status', 'audit'],
    onDone: onClose,
  });
  const isComplete = provider !== '' && name.trim() !== '' && secret.trim() !== '';
  const submit = (): void => {
    if (isComplete && !add.isBusy) add.start();
  };
  return (
    <Dialog
      title={successorOf === undefined ? 'Add a key' : `Rotate ${keyName(successorOf)}`}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" onPress={submit} busy={add.isBusy} isDisabled={!isComplete}>
            {isStaged ? 'Stage the key' : 'Use the key'}
          </Button>
        </>
      }
    >
      {successorOf !== undefined && (
        <Notice>
          Make the successor at the provider and enter it here. Test it, then promote it: the old key is
          retired with that, and can be revoked when nothing uses it any more.
        </Notice>
      )}
      {providers.length > 1 && (
        <Select
          label="Provider"
          options={providers.map((id) => ({ id, label: id }))}
          value={provider}
          onChange={setProvider}
        />
      )}
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        maxLength={NAME_MAX}
        hint="To tell keys apart, such as the team or the month."
      />
      <TextField
        label="Key"
        type="password"
        mono
        autoFocus
        value={secret}
        onChange={setSecret}
        onEnter={submit}
        maxLength={SECRET_MAX}
        hint="Sealed before it is stored, sent to the provider's address only, and never shown again."
      />
      <Checkbox
        label="Stage it first: test it before requests use it"
        checked={isStaged}
        onChange={setStaged}
      />
    </Dialog>
  );
}
