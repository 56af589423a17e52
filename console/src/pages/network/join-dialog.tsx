/** The way in for a device: a key for one device, as the line to type there and as a code to scan. */
import { useQuery } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { useState } from 'react';
import { messageOf } from '../../api/problem.ts';
import { Button, CodeBlock, Dialog, Notice } from '../../ui/index.ts';
import { DeviceQr } from '../devices/device-qr.tsx';
import { type MadeKey, useNewKey } from './key-fields.ts';
import { type Tailnet, tailnetDevicesQuery } from './network-queries.ts';
import { joinCommand } from './network-texts.ts';
import { OwnerFields } from './owner-fields.tsx';

export function JoinDialog({
  tailnet,
  onClose,
}: {
  readonly tailnet: Tailnet;
  readonly onClose: () => void;
}) {
  const draft = useNewKey(tailnet, 'one device');
  const { make, isComplete } = draft;
  if (draft.made !== null) return <JoinLine tailnet={tailnet} made={draft.made} onClose={onClose} />;
  return (
    <Dialog
      title={`Add a device to ${tailnet.name}`}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Cancel</Button>
          <Button kind="primary" busy={make.isBusy} isDisabled={!isComplete} onPress={() => make.start()}>
            Show the line
          </Button>
        </>
      }
    >
      {make.error !== null && !make.isBusy && <Notice tone="bad">{messageOf(make.error)}</Notice>}
      <p>
        Install the official Tailscale client on the device, then type there what is shown next. It holds a
        key for this one device, good for a day.
      </p>
      <OwnerFields tailnet={tailnet} draft={draft} />
    </Dialog>
  );
}

function JoinLine({
  tailnet,
  made,
  onClose,
}: {
  readonly tailnet: Tailnet;
  readonly made: MadeKey;
  readonly onClose: () => void;
}) {
  const line = joinCommand(made.login_server, made.key);
  return (
    <Dialog
      wide
      title="Type this on the device"
      isOpen
      isDismissable={false}
      onClose={onClose}
      footer={
        <Button kind="primary" onPress={onClose}>
          Done
        </Button>
      }
    >
      <Notice tone="warn">Shown this once: whoever has this line can join with one device.</Notice>
      <div className="device-configuration with-code">
        <div className="device-scan">
          <DeviceQr text={line} label="QR code of the line" />
          <p className="soft">To carry the line to another machine: scan it, and paste it there.</p>
        </div>
        <div className="stack">
          <CodeBlock title="On the device" text={line} />
          <p className="soft">
            On a phone: in the client’s settings choose a custom control server,{' '}
            <code>{made.login_server}</code>; the device then waits here to be let in. From the network, the
            gateway is the host <code>ai</code>, by plain HTTP: the network encrypts, and no API key is
            needed.
          </p>
        </div>
      </div>
      <Arrival tailnet={tailnet} />
    </Dialog>
  );
}

/** Whether a device has joined since the line was shown. */
function Arrival({ tailnet }: { readonly tailnet: Tailnet }) {
  const devices = useQuery(tailnetDevicesQuery(tailnet.name));
  const [known] = useState(() => new Set(devices.data?.items.map(({ id }) => id)));
  const [hadAnswer] = useState(devices.data !== undefined);
  const joined = hadAnswer ? devices.data?.items.find(({ id }) => !known.has(id)) : undefined;
  return (
    <p className={joined === undefined ? 'soft' : 'device-arrived'} aria-live="polite">
      {joined === undefined ? (
        'Waiting for the device to join …'
      ) : (
        <>
          <Check aria-hidden size={16} /> {joined.name} has joined as {joined.addresses[0]}.
        </>
      )}
    </p>
  );
}
