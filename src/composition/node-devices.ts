/**
 * The devices of Postern's own network: what the store keeps of them is their names, public keys and
 * addresses. A private key that is made for a device leaves in its configuration and is kept nowhere.
 */
import type { Clock, UnixMs } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { newId } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { Secret } from '../base/secret.ts';
import type { Store } from '../store/index.ts';
import {
  formatClientConfiguration,
  formatPublicKey,
  generateClientKey,
  parsePublicKey,
  STATIC_DEVICES_MAX,
  type TailnetNode,
} from '../tailnet/node/index.ts';

/** Codes of refusals; the API maps them. */
export type DeviceErrorCode = 'device_invalid' | 'device_exists' | 'device_limit';

export interface StoredDevice {
  readonly id: string;
  readonly name: string;
  /** Base64, as `wg` prints it. */
  readonly publicKey: string;
  /** Number in the network: its addresses follow from it, and it is not given out again while it is held. */
  readonly index: number;
  readonly createdAt: UnixMs;
  /** Principal. */
  readonly createdBy: string;
}

/** A device as people see it. */
export interface DeviceView {
  readonly id: string;
  readonly name: string;
  readonly publicKey: string;
  readonly principal: string;
  readonly addresses: readonly string[];
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  /** When keys were agreed last; null for never in this run. */
  readonly lastHandshakeAt: UnixMs | null;
  /** Where its packets come from. */
  readonly endpoint: string | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface NewDevice {
  readonly name: string;
  /** As `wg pubkey` prints it. */
  readonly publicKey: string;
  /** For its configuration, where `newKey` made the pair. */
  readonly privateKey?: Secret;
  readonly createdBy: string;
}

export interface Devices {
  list(): readonly DeviceView[];
  /** A pair for a device that brings none; nothing of it is kept. */
  newKey(): { readonly publicKey: string; readonly privateKey: Secret };
  /** Rejects with `DeviceErrorCode`. `configuration` holds the private key if one was made: shown once. */
  add(device: NewDevice): Promise<{ readonly device: DeviceView; readonly configuration: string }>;
  /** Its connections end at once, even where the store then fails. False if there is none. */
  remove(id: string): Promise<boolean>;
}

export interface DevicesOptions {
  readonly node: TailnetNode;
  readonly store: Pick<Store, 'getSetting' | 'putSetting'>;
  readonly tailnet: string;
  /** `host:port` for configurations, now. */
  readonly endpoint: () => string;
  readonly clock: Clock;
  readonly random: Random;
}

/** A DNS label: the name is one for resolvers, too. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** The node's own address has number 1. */
const FIRST_INDEX = 2;
const OWN_NAMES = new Set(['ai', 'postern', 'localhost']);

/** Loads the devices into the node, which is up. Rejects if the list cannot be read. */
export async function openDevices(options: DevicesOptions): Promise<Devices> {
  const text = await options.store.getSetting(settingName(options.tailnet));
  const registry = new DeviceRegistry(options, text === null ? [] : readDevices(text));
  return registry;
}

function settingName(tailnet: string): string {
  return `node.devices:${tailnet}`;
}

class DeviceRegistry implements Devices {
  readonly #options: DevicesOptions;
  readonly #byId = new Map<string, StoredDevice>();
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: DevicesOptions, devices: readonly StoredDevice[]) {
    this.#options = options;
    for (const device of devices) {
      this.#byId.set(device.id, device);
      this.#admit(device);
    }
  }

  #admit({ id, name, publicKey, index }: StoredDevice): void {
    const { node } = this.#options;
    node.setPeer({ publicKey, name, stableId: id, addresses: node.addressesOf(index) });
  }

  list(): readonly DeviceView[] {
    const { node, clock } = this.#options;
    const seen = new Map(node.status().peers.map((status) => [status.peer.stableId, status]));
    const now = clock.now();
    return [...this.#byId.values()].map((device) => {
      const status = seen.get(device.id);
      const age = status?.handshakeAgeMs ?? null;
      return {
        id: device.id,
        name: device.name,
        publicKey: device.publicKey,
        principal: `postern:device:${status?.peer.key ?? ''}`,
        addresses: node.addressesOf(device.index),
        createdAt: device.createdAt,
        createdBy: device.createdBy,
        lastHandshakeAt: age === null ? null : Math.round(now - age),
        endpoint: status?.endpoint ?? null,
        receivedBytes: status?.receivedBytes ?? 0,
        sentBytes: status?.sentBytes ?? 0,
      };
    });
  }

  newKey(): ReturnType<Devices['newKey']> {
    const { publicKey, privateKey } = generateClientKey(this.#options.random);
    return { publicKey: formatPublicKey(publicKey), privateKey: new Secret(privateKey) };
  }

  add(asked: NewDevice): ReturnType<Devices['add']> {
    return this.#change(async () => {
      const { node, clock, random } = this.#options;
      const name = asked.name.toLowerCase();
      this.#checkName(name);
      const publicKey = parsePublicKey(asked.publicKey);
      if (publicKey === null)
        throw deviceError('device_invalid', 'a public key has the 44 characters that "wg pubkey" prints');
      const keyText = formatPublicKey(publicKey);
      const devices = [...this.#byId.values()];
      if (devices.some((device) => device.publicKey === keyText))
        throw deviceError('device_exists', 'a device with this public key is here already');
      const device: StoredDevice = {
        id: newId('dev', clock, random),
        name,
        publicKey: keyText,
        index: freeIndex(devices),
        createdAt: clock.now(),
        createdBy: asked.createdBy,
      };
      try {
        this.#admit(device);
      } catch (cause) {
        throw deviceError(
          'device_invalid',
          "this public key cannot be a device's: it is a weak one or our own",
          cause,
        );
      }
      this.#byId.set(device.id, device);
      try {
        await this.#write();
      } catch (error) {
        this.#byId.delete(device.id);
        node.removePeer(keyText);
        throw error;
      }
      const configuration = formatClientConfiguration({
        privateKey: asked.privateKey?.reveal() ?? null,
        addresses: node.addressesOf(device.index),
        serverKey: node.publicKey,
        serverAddresses: node.addresses,
        endpoint: this.#options.endpoint(),
      });
      const view = this.list().find(({ id }) => id === device.id);
      if (view === undefined) throw deviceError('device_invalid', 'the device was removed meanwhile');
      return { device: view, configuration };
    });
  }

  #checkName(name: string): void {
    if (!NAME.test(name))
      throw deviceError(
        'device_invalid',
        'a device name has 1 to 63 letters, digits and inner hyphens, such as "phone"',
      );
    if (OWN_NAMES.has(name)) throw deviceError('device_invalid', `"${name}" is the gateway's own name`);
    if ([...this.#byId.values()].some((device) => device.name === name))
      throw deviceError('device_exists', `a device named "${name}" is here already; remove it first`);
  }

  remove(id: string): Promise<boolean> {
    /* Not behind changes that wait for the store: a device that is lost must be out now. */
    const device = this.#byId.get(id);
    if (device === undefined) return Promise.resolve(false);
    this.#byId.delete(id);
    this.#options.node.removePeer(device.publicKey);
    return this.#change(async () => {
      await this.#write();
      return true;
    });
  }

  #write(): Promise<void> {
    const { store, tailnet } = this.#options;
    return store.putSetting(settingName(tailnet), JSON.stringify([...this.#byId.values()]));
  }

  /** Changes run one after another, so that none writes over another. */
  #change<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}

function freeIndex(devices: readonly StoredDevice[]): number {
  const taken = new Set(devices.map(({ index }) => index));
  for (let index = FIRST_INDEX; index < FIRST_INDEX + STATIC_DEVICES_MAX; index += 1) {
    if (!taken.has(index)) return index;
  }
  throw deviceError('device_limit', `the network has ${STATIC_DEVICES_MAX} devices, the most it may`);
}

function deviceError(code: DeviceErrorCode, message: string, cause?: unknown): AppError<DeviceErrorCode> {
  return new AppError<DeviceErrorCode>(code, message, cause === undefined ? {} : { cause });
}

/** What this class wrote. A list that is lost would lock out whom it names, and is not guessed. */
function readDevices(text: string): readonly StoredDevice[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value) || !value.every(isDevice))
    throw new Error('assertion failed: the stored list of devices has its own shape');
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isDevice(value: unknown): value is StoredDevice {
  if (!isRecord(value)) return false;
  const { id, name, publicKey, index, createdAt, createdBy } = value;
  return (
    [id, name, publicKey, createdBy].every((field) => typeof field === 'string') &&
    [index, createdAt].every((field) => typeof field === 'number')
  );
}
