/** A controlled network out of an embedder's options and the state file. */
import type { Clock } from '../../../base/clock.ts';
import { AppError } from '../../../base/errors.ts';
import type { Random } from '../../../base/random.ts';
import { Secret } from '../../../base/secret.ts';
import { type IpPort, parseIpPort } from '../../../wire/ip-port.ts';
import {
  createNodeState,
  type NodeState as KeptState,
  parseNodeState,
  revealNodeState,
  systemSleep,
} from '../../protocol/index.ts';
import { nodeError } from '../errors.ts';
import { allowLoopbackPaths, type TailnetNodeOptions } from '../node-options.ts';
import type { NodeEvent } from '../node-status.ts';
import type { PeerConnections } from '../peer-connections.ts';
import { createStateFile, type StateFile } from '../state-file.ts';
import { ControlledNetwork } from './controlled-network.ts';
import { createSystemDialer } from './system-dialer.ts';

export interface JoinControlOptions {
  readonly options: TailnetNodeOptions & { readonly controlUrl: string; readonly hostname: string };
  readonly clock: Clock;
  readonly random: Random;
  readonly connections: PeerConnections;
  readonly emit: (event: NodeEvent) => void;
}

/** Names of systems as control servers know them. */
const SYSTEMS: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  darwin: 'macOS',
  win32: 'windows',
};
/** What the control server is told to be talking to. */
const APP = 'postern';
const TAG = /^tag:[a-zA-Z][a-zA-Z0-9-]{0,99}$/;

/**
 * Binds and reads or makes the state; nothing is sent before `start`.
 * @throws AppError `node_invalid_setting`, `node_state`, `wireguard_bind`, `control_invalid_setting`
 */
export async function joinControl({ options, ...parts }: JoinControlOptions): Promise<ControlledNetwork> {
  const { controlUrl, authKey, ephemeral = false, tags = [], version = '0.1.0' } = options;
  const badTag = tags.find((tag) => !TAG.test(tag));
  if (badTag !== undefined)
    throw nodeError('node_invalid_setting', `"${badTag}" is no tag: expected tag: and a name`);
  const file = createStateFile(options.stateDir);
  return ControlledNetwork.open({
    ...options,
    ...parts,
    state: await loadState(file, controlUrl, parts.random),
    saveState: (state) => file.write(revealNodeState(state)),
    authKey: typeof authKey === 'string' ? new Secret(authKey) : (authKey ?? null),
    isEphemeral: ephemeral,
    host: {
      hostname: options.hostname,
      os: SYSTEMS[process.platform] ?? process.platform,
      version,
      app: APP,
      tags,
    },
    dialer: options.dialer ?? createSystemDialer(),
    configuredEndpoints: (options.endpoints ?? []).map(readEndpoint),
    acceptRoutes: options.acceptRoutes ?? false,
    allowLoopback: options[allowLoopbackPaths] === true,
    sleep: systemSleep,
  });
}

/** Keys are on the disk before a server hears of them. */
async function loadState(file: StateFile, controlUrl: string, random: Random): Promise<KeptState> {
  const text = await file.read();
  if (text !== null) return readState(text, controlUrl);
  const state = createNodeState(controlUrl, random);
  await file.write(revealNodeState(state));
  return state;
}

function readState(text: string, controlUrl: string): KeptState {
  let state: KeptState;
  try {
    state = parseNodeState(text);
  } catch (cause) {
    throw nodeError(
      'node_state',
      'the state of the network node is damaged or of another kind of network: restore it, or remove it to join as a new device',
      cause instanceof AppError ? {} : { cause },
    );
  }
  /* The same server may be written with and without its last slash. */
  const isSame = state.controlUrl.replace(/\/+$/, '') === controlUrl.replace(/\/+$/, '');
  return isSame ? { ...state, controlUrl } : state;
}

function readEndpoint(text: string): IpPort {
  const endpoint = parseIpPort(text);
  if (endpoint === null || endpoint.port === 0)
    throw nodeError('node_invalid_setting', `the endpoint "${text}" must be an address and a port`);
  return endpoint;
}
