/**
 * A whole tailnet of programs that no one here wrote, on this machine and without a way out: Headscale
 * with its relay, and any number of machines, some with an official tailscaled. A node of our own is
 * put on a machine of `addMachine` and joins with a key of `headscale.authKey`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DeviceOptions, startDevice, type TailscaleDevice } from './device.ts';
import { type BedUser, type Headscale, startHeadscale } from './headscale.ts';
import { createMachineNetwork, type Machine } from './machines.ts';
import { findPrograms, type Programs } from './programs.ts';

export type { TailscaleDevice } from './device.ts';
export type { AuthKeyOptions, BedNode, BedUser, Headscale } from './headscale.ts';
export { BASE_DOMAIN } from './headscale.ts';
export type { Machine, RunningProgram } from './machines.ts';

export interface TailnetBed {
  readonly programs: Programs;
  readonly headscale: Headscale;
  /** A machine on the switch that is in no tailnet yet. */
  addMachine(name: string): Promise<Machine>;
  /** A machine whose tailscaled has joined, as a device of `user` or with `tags`. */
  join(name: string, options: JoinOptions): Promise<TailscaleDevice>;
  /** Ends everything and removes what it kept. */
  close(): Promise<void>;
}

export interface JoinOptions extends Pick<DeviceOptions, 'userspace' | 'relayOnly' | 'up'> {
  readonly user?: BedUser;
  readonly tags?: readonly string[];
  readonly ephemeral?: boolean;
}

/** @throws Error if a program is missing, or this is not Linux with root. */
export async function startTailnetBed(): Promise<TailnetBed> {
  const programs = findPrograms();
  const folder = await mkdtemp(join(tmpdir(), 'postern-bed-'));
  const network = await createMachineNetwork(folder);
  const close = async (): Promise<void> => {
    await network.close();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const headscale = await startHeadscale(await network.add('control'), programs.headscale);
    return {
      programs,
      headscale,
      addMachine: (name) => network.add(name),
      async join(name, { user, tags, ephemeral, ...device }) {
        const authKey = await headscale.authKey({
          ...(user === undefined ? {} : { user }),
          ...(tags === undefined ? {} : { tags }),
          ...(ephemeral === undefined ? {} : { ephemeral }),
        });
        const machine = await network.add(name);
        return startDevice(machine, { ...device, programs, controlUrl: headscale.url, authKey });
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
