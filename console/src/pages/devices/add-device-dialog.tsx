/** Adds a device, and shows its configuration this once. */
import { useState } from 'react';
import { api, dataOf, type Schema } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Dialog, Notice, Select, TextField } from '../../ui/index.ts';
import { DeviceConfiguration } from './device-configuration.tsx';
import { NAME_MAX, nameProblem, publicKeyProblem } from './device-texts.ts';

/** A device with the configuration that is not shown again. */
export type AddedDevice = Schema<'Device'> & { readonly configuration: string };

const KEYS = [
  { id: 'made', label: 'Make one', hint: 'For a phone or laptop: scan or import it' },
  { id: 'own', label: 'It has its own', hint: 'Its private key never leaves it' },
] as const;

export function AddDeviceDialog({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState('');
  const [keyKind, setKeyKind] = useState<(typeof KEYS)[number]['id']>('made');
  const [publicKey, setPublicKey] = useState('');
  const [added, setAdded] = useState<AddedDevice | null>(null);
  const add = useAction({
    run: () =>
      dataOf(
        api.POST('/api/v1/devices', {
          body: { name: name.trim(), public_key: keyKind === 'own' ? publicKey.trim() : null },
        }),
      ),
    done: null,
    changes: ['devices', 'audit'],
    onDone: setAdded,
    onFailure: () => true,
  });
  if (added !== null)
    return <DeviceConfiguration added={added} isKeyMade={keyKind === 'made'} onClose={onClose} />;
  const nameWrong = nameProblem(name);
  const keyWrong = keyKind === 'own' ? publicKeyProblem(publicKey) : null;
  const isComplete =
    name.trim() !== '' &&
    nameWrong === null &&
    (keyKind === 'made' || (publicKey.trim() !== '' && keyWrong === null));
  const submit = (): void => {
    if (isComplete && !add.isBusy) add.start();
  };
  return (
    <Dialog
      title="Add a device"
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={add.isBusy} isDisabled={!isComplete} onPress={submit}>
            Add the device
          </Button>
        </>
      }
    >
      {add.error !== null && !add.isBusy && <Notice tone="bad">{messageOf(add.error)}</Notice>}
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        onEnter={submit}
        maxLength={NAME_MAX}
        placeholder="phone"
        error={nameWrong}
        hint="Under which you will find it here, in records and in grants."
        autoFocus
      />
      <Select label="Key" options={KEYS} value={keyKind} onChange={setKeyKind} />
      {keyKind === 'own' && (
        <TextField
          label="Public key"
          mono
          value={publicKey}
          onChange={setPublicKey}
          onEnter={submit}
          maxLength={64}
          error={keyWrong}
          placeholder="xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
          hint="What “wg genkey | tee private.key | wg pubkey” prints on the device."
        />
      )}
      <p className="soft">
        It reaches Postern through a WireGuard tunnel and nothing else: not the internet, not other devices.
        Its key is its identity, so give each device one of its own.
      </p>
    </Dialog>
  );
}
