/**
 * What a node keeps between runs: its keys and whether it has joined. As text it is JSON with the keys
 * in clear: for a file that nobody else may read.
 */
import type { Random } from '../../base/random.ts';
import { X25519_KEY_BYTES, X25519PrivateKey } from '../../crypto/index.ts';
import { controlError } from './errors.ts';
import { formatKeyText, parseKeyText } from './key-text.ts';
import { asBoolean, asObject, asText, type WireObject } from './wire-fields.ts';

/** The keys print as `[secret]`. */
export interface NodeState {
  /** The control server that the rest belongs to. */
  readonly controlUrl: string;
  /** Proves this machine to the control server. */
  readonly machineKey: X25519PrivateKey;
  /** The WireGuard key; its public half is the device's identity. */
  readonly nodeKey: X25519PrivateKey;
  /** The one before, while the control server has not confirmed the new one. */
  readonly previousNodeKey: X25519PrivateKey | null;
  /** The control server has confirmed `nodeKey`. */
  readonly isRegistered: boolean;
}

export function createNodeState(controlUrl: string, random: Random): NodeState {
  return {
    controlUrl,
    machineKey: X25519PrivateKey.generate(random),
    nodeKey: X25519PrivateKey.generate(random),
    previousNodeKey: null,
    isRegistered: false,
  };
}

/** With the keys in clear: write it where only the owner reads. */
export function revealNodeState(state: NodeState): string {
  const keyOf = (key: X25519PrivateKey | null): string | null =>
    key === null ? null : formatKeyText('privkey', key.reveal());
  return `${JSON.stringify(
    {
      version: 1,
      control_url: state.controlUrl,
      machine_key: keyOf(state.machineKey),
      node_key: keyOf(state.nodeKey),
      previous_node_key: keyOf(state.previousNodeKey),
      is_registered: state.isRegistered,
    },
    null,
    2,
  )}\n`;
}

/**
 * The state out of `revealNodeState`'s text.
 * @throws AppError<ControlErrorCode> `control_invalid_setting`; the message has nothing of the text
 */
export function parseNodeState(text: string): NodeState {
  const fields = parse(text);
  const controlUrl = asText(fields?.['control_url'], 4096);
  const machineKey = readKey(fields?.['machine_key']);
  const nodeKey = readKey(fields?.['node_key']);
  if (fields?.['version'] !== 1 || controlUrl === null || machineKey === null || nodeKey === null) {
    throw controlError(
      'control_invalid_setting',
      'the state of the network node is damaged: restore it, or remove it to join as a new device',
    );
  }
  return {
    controlUrl,
    machineKey,
    nodeKey,
    previousNodeKey: readKey(fields['previous_node_key']),
    isRegistered: asBoolean(fields['is_registered']) ?? false,
  };
}

function parse(text: string): WireObject | null {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return null;
  }
}

function readKey(value: unknown): X25519PrivateKey | null {
  const hex = parseKeyText('privkey', value);
  if (hex === null) return null;
  const bytes = Buffer.from(hex, 'hex');
  return bytes.length === X25519_KEY_BYTES ? X25519PrivateKey.fromBytes(bytes) : null;
}
