/** Before a device is removed: what that cuts. */
import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { Money, Relative, Tokens } from '../../format/index.ts';
import { useAction } from '../../presence/index.ts';
import { ConfirmDialog, Loaded, Stat, Stats } from '../../ui/index.ts';
import { type Device, usedByQuery } from './devices-queries.ts';

export function RemoveDeviceDialog({
  device,
  onDone,
  onClose,
}: {
  readonly device: Device;
  readonly onDone: () => void;
  readonly onClose: () => void;
}) {
  const used = useQuery(usedByQuery(device.principal));
  const remove = useAction({
    run: () => dataOf(api.DELETE('/api/v1/devices/{id}', { params: { path: { id: device.id } } })),
    done: `${device.name} is removed.`,
    changes: ['devices', 'audit'],
    onDone,
  });
  return (
    <ConfirmDialog
      title={`Remove ${device.name}?`}
      isOpen
      onClose={onClose}
      onConfirm={() => remove.start()}
      confirm="Remove the device"
      busy={remove.isBusy}
    >
      <p>
        Its connections and the answers under way to it end at once, and its key opens nothing any more.{' '}
        {device.online
          ? 'It is connected now.'
          : device.last_handshake_at === null
            ? 'It was not heard since the server started.'
            : null}
        {!device.online && device.last_handshake_at !== null && (
          <>
            It was last heard <Relative at={device.last_handshake_at} />.
          </>
        )}
      </p>
      <Loaded query={used} what="What it used could not be loaded" lines={2}>
        {(sums) => (
          <Stats>
            <Stat label="Requests, 30 days" value={<Tokens count={sums?.requests ?? 0} />} />
            <Stat label="Cost, 30 days" value={<Money nano={sums?.cost_nano_usd ?? 0} />} />
          </Stats>
        )}
      </Loaded>
      <p className="soft">
        Its records stay. To let it in again, add it anew: it then has another key, and grants must name that.
      </p>
    </ConfirmDialog>
  );
}
