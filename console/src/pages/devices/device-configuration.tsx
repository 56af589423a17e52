/** The configuration of a device that was added: as a code to scan, to copy, and as a file; shown once. */
import { useQuery } from '@tanstack/react-query';
import { Check, Download } from 'lucide-react';
import { Button, CodeBlock, Dialog, Notice } from '../../ui/index.ts';
import type { AddedDevice } from './add-device-dialog.tsx';
import { DeviceQr } from './device-qr.tsx';
import { devicesQuery } from './devices-queries.ts';
import { gatewayIn } from './device-texts.ts';

/** What `wg-quick` and the apps take for the tunnel's name: at most 15 characters. */
const FILE_NAME = 'postern.conf';

export function DeviceConfiguration({
  added,
  isKeyMade,
  onClose,
}: {
  readonly added: AddedDevice;
  /** Whether the private key is in the configuration. */
  readonly isKeyMade: boolean;
  readonly onClose: () => void;
}) {
  const { configuration } = added;
  return (
    <Dialog
      wide
      title={`${added.name} is added`}
      isOpen
      isDismissable={!isKeyMade}
      onClose={onClose}
      footer={
        <Button kind="primary" onPress={onClose}>
          {isKeyMade ? 'I have kept it' : 'Done'}
        </Button>
      }
    >
      <Notice tone={isKeyMade ? 'warn' : 'info'}>
        {isKeyMade
          ? 'Shown this once, and its private key is kept nowhere: whoever has this text is this device.'
          : 'Put the device’s private key where the first lines say; Postern does not know it.'}
      </Notice>
      <div className={isKeyMade ? 'device-configuration with-code' : 'device-configuration'}>
        {isKeyMade && (
          <div className="device-scan">
            <DeviceQr text={configuration} label={`QR code of the configuration of ${added.name}`} />
            <p className="soft">In the WireGuard app: add a tunnel, scan from QR code.</p>
          </div>
        )}
        <div className="stack">
          <CodeBlock title="Configuration" text={configuration.trimEnd()} />
          <div className="actions">
            <Button icon={Download} onPress={() => download(configuration)}>
              Download {FILE_NAME}
            </Button>
          </div>
          <p className="soft">
            On a computer: <code>wg-quick up ./{FILE_NAME}</code>, or import the file in the app.
          </p>
        </div>
      </div>
      <Arrival added={added} />
    </Dialog>
  );
}

/** Whether the device was heard since it was added, and what comes next. */
function Arrival({ added }: { readonly added: AddedDevice }) {
  const devices = useQuery(devicesQuery());
  const isOnline = devices.data?.items.some(({ id, online }) => id === added.id && online) ?? false;
  const gateway = gatewayIn(added.configuration);
  return (
    <div className="device-arrival" aria-live="polite">
      {isOnline ? (
        <p className="device-arrived">
          <Check aria-hidden size={16} /> {added.name} is connected.
        </p>
      ) : (
        <p className="soft">Waiting for {added.name} to connect …</p>
      )}
      <p className="soft">
        {gateway !== null && (
          <>
            There Postern is <code>{gateway}</code>, by plain HTTP: the tunnel encrypts.{' '}
          </>
        )}
        What it may use, grants of the policy say: those to <code>*</code> hold for it, and its entry in this
        list has one for it alone.
      </p>
    </div>
  );
}

/** Gives the browser a file of this text, which no server sees. */
function download(text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = FILE_NAME;
  link.click();
  URL.revokeObjectURL(url);
}
