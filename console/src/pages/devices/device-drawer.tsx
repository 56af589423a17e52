/** One device in full. */
import { Link } from 'react-router';
import { bytes, Relative, Time } from '../../format/index.ts';
import { Button, CodeBlock, CopyButton, Drawer, Facts } from '../../ui/index.ts';
import { grantFor } from './device-texts.ts';
import type { Device } from './devices-queries.ts';
import { DeviceState } from './device-state.tsx';

export function DeviceDrawer({
  device,
  onRemove,
  onClose,
}: {
  readonly device: Device;
  /** Null for who may only look. */
  readonly onRemove: (() => void) | null;
  readonly onClose: () => void;
}) {
  return (
    <Drawer title={device.name} isOpen onClose={onClose}>
      <div className="device-drawer">
        <Facts facts={factsOf(device)} />
        <p>
          <Link to={`/requests?whose=all&principal=${encodeURIComponent(device.principal)}`}>
            Its requests
          </Link>
        </p>
        <CodeBlock title="A grant for this device alone" text={grantFor(device.principal)} />
        {onRemove !== null && (
          <Button kind="danger" onPress={onRemove}>
            Remove …
          </Button>
        )}
      </div>
    </Drawer>
  );
}

function factsOf(device: Device): readonly (readonly [string, React.ReactNode])[] {
  return [
    ['State', <DeviceState key="state" device={device} />],
    [
      'Last heard',
      device.last_handshake_at === null ? (
        'not since the server started'
      ) : (
        <Relative key="heard" at={device.last_handshake_at} />
      ),
    ],
    ['From', device.endpoint ?? 'not known yet'],
    ['Received', bytes(device.received_bytes)],
    ['Sent', bytes(device.sent_bytes)],
    ['Addresses', device.addresses.join(', ')],
    ['Public key', <Copied key="key" text={device.public_key} label="Copy the public key" />],
    ['Principal', <Copied key="principal" text={device.principal} label="Copy the principal" />],
    ['Added', <Time key="at" at={device.created_at} />],
    ['Added by', device.created_by],
  ];
}

function Copied({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <span className="row">
      <code className="stranger">{text}</code>
      <CopyButton iconOnly text={text} label={label} />
    </span>
  );
}
