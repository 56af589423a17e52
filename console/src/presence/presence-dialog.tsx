/** The dialog that asks for the viewer in person. */
import { useQuery } from '@tanstack/react-query';
import { Fingerprint } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { api, dataOf } from '../api/client.ts';
import { messageOf } from '../api/problem.ts';
import { Button } from '../ui/buttons.tsx';
import { TextField } from '../ui/fields.tsx';
import { Dialog } from '../ui/overlays.tsx';
import { Notice, Skeleton } from '../ui/states.tsx';
import {
  addressByName,
  assertPasskey,
  isAtAddress,
  printCode,
  redeemCode,
  supportsPasskeys,
} from './passkey.ts';

export function PresenceDialog({
  onPresent,
  onClose,
}: {
  readonly onPresent: () => void;
  readonly onClose: () => void;
}) {
  return (
    <Dialog title="This needs you in person" isOpen onClose={onClose}>
      <p className="soft">
        Programs on your devices share your identity, so what changes the server or reads what others wrote
        asks for you. It holds for ten minutes.
      </p>
      {isAtAddress() ? <AtAddress /> : <Ways onPresent={onPresent} />}
    </Dialog>
  );
}

function AtAddress() {
  const byName = addressByName();
  return (
    <Notice tone="warn">
      Presence belongs to the name of the server, not to an address.{' '}
      {byName === null ? 'Open this page by its name.' : <a href={byName}>Go on at localhost</a>}
    </Notice>
  );
}

function Ways({ onPresent }: { readonly onPresent: () => void }) {
  const passkeys = useQuery({
    queryKey: ['passkeys'],
    queryFn: ({ signal }) => dataOf(api.GET('/api/v1/presence/passkeys', { signal })),
  });
  const [code, setCode] = useState('');
  const [busy, setBusy] = useState<'passkey' | 'code' | 'print' | null>(null);
  const [said, setSaid] = useState<{ readonly text: ReactNode; readonly isBad: boolean } | null>(null);
  const attempt = (what: typeof busy, action: () => Promise<void>): void => {
    setBusy(what);
    setSaid(null);
    action()
      .catch((error: unknown) => setSaid({ text: messageOf(error), isBad: true }))
      .finally(() => setBusy(null));
  };
  if (passkeys.isPending) return <Skeleton lines={2} />;
  const hasPasskey = supportsPasskeys() && (passkeys.data?.items.length ?? 0) > 0;
  const useCode = (): void => {
    if (code.trim() === '') setSaid({ text: 'Enter the code first.', isBad: true });
    else attempt('code', () => redeemCode(code).then(onPresent));
  };
  const print = async (): Promise<void> => {
    const mark = await printCode();
    setSaid(
      mark === null
        ? { text: 'No code was printed: the server prints few in a row. Ask again in a moment.', isBad: true }
        : {
            text: `The server printed a code on its terminal, beside ${mark}. Enter what stands after the #.`,
            isBad: false,
          },
    );
  };
  return (
    <div className="stack">
      {hasPasskey && (
        <Button
          kind="primary"
          icon={Fingerprint}
          autoFocus
          busy={busy === 'passkey'}
          onPress={() => attempt('passkey', () => assertPasskey().then(onPresent))}
        >
          Use a passkey
        </Button>
      )}
      <div aria-live="polite">
        {said !== null && <Notice tone={said.isBad ? 'bad' : 'info'}>{said.text}</Notice>}
      </div>
      <TextField
        label={
          hasPasskey
            ? 'Or the one-time code of the server’s terminal'
            : 'One-time code of the server’s terminal'
        }
        type="password"
        value={code}
        onChange={setCode}
        onEnter={useCode}
        autoFocus={!hasPasskey}
      />
      <div className="actions">
        <Button busy={busy === 'print'} onPress={() => attempt('print', print)}>
          Print a code
        </Button>
        <Button kind={hasPasskey ? 'secondary' : 'primary'} busy={busy === 'code'} onPress={useCode}>
          Use the code
        </Button>
      </div>
      {!hasPasskey && (
        <p className="soft">
          With a <a href="/presence">passkey</a> no code is needed next time.
        </p>
      )}
    </div>
  );
}
