/**
 * A tailnet whose only relay is ours, over TLS with a certificate of its own that the network's map
 * pins. Devices take no direct path, so that whatever arrives came through it.
 */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSelfSignedCertificate, readCertificate } from '../../src/crypto/index.ts';
import { eventually } from '../scenarios/ask.ts';
import { startDevice, type TailscaleDevice } from './device.ts';
import { type BedUser, type Headscale, startHeadscale } from './headscale.ts';
import { createMachineNetwork, type Machine } from './machines.ts';
import { findPrograms, type Programs } from './programs.ts';
import type { RelayJob } from './relay-process.ts';

/** As the relay's program tells it. */
export interface RelayReport {
  readonly relay: Readonly<Record<string, number>>;
  readonly stun: Readonly<Record<string, number>>;
}

export interface RelayBed {
  readonly headscale: Headscale;
  readonly alice: BedUser;
  /** `host:port` of the relay, over TLS. */
  readonly relayAt: string;
  readonly relayPid: number;
  /** Joins a device that knows no direct path. */
  join(name: string): Promise<TailscaleDevice>;
  /** Which devices the relay takes, each with its tailnets; a running relay has it within seconds. */
  setMembers(members: readonly (readonly [TailscaleDevice, readonly string[]])[]): Promise<void>;
  nodeKey(device: TailscaleDevice): Promise<string>;
  report(): Promise<RelayReport>;
  close(): Promise<void>;
}

const RELAY_PORT = 8443;
const STUN_PORT = 3478;
const REGION = 900;
const DAY_MS = 24 * 60 * 60 * 1000;

/** @throws Error if a program is missing, or this is not Linux with root. */
export async function startRelayBed(): Promise<RelayBed> {
  const programs = findPrograms();
  const folder = await mkdtemp(join(tmpdir(), 'postern-relay-'));
  const network = await createMachineNetwork(folder);
  const close = async (): Promise<void> => {
    await network.close();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const relay = await network.add('relay');
    const { members, certName, pid } = await startRelay(relay);
    const headscale = await startWithRelay(await network.add('control'), { programs, relay, certName });
    const alice = await headscale.addUser('alice');
    const nodeKey = async (device: TailscaleDevice): Promise<string> =>
      String(Object((await device.status())['Self']).PublicKey).replace(/^nodekey:/, '');
    return {
      headscale,
      alice,
      relayAt: `${relay.address}:${RELAY_PORT}`,
      relayPid: pid,
      async join(name) {
        const machine = withTlsRelay(await network.add(name));
        const authKey = await headscale.authKey({ user: alice });
        return startDevice(machine, { programs, controlUrl: headscale.url, authKey, relayOnly: true });
      },
      async setMembers(chosen) {
        const entries = await Promise.all(
          chosen.map(async ([device, tailnets]) => [await nodeKey(device), tailnets] as const),
        );
        await replace(members, JSON.stringify(Object.fromEntries(entries)));
      },
      nodeKey,
      async report() {
        const words = ['curl', '-sk', `https://${relay.address}:${RELAY_PORT}/counters`];
        return JSON.parse((await relay.exec(words)).stdout);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Devices of the bed speak to a relay without TLS unless this is taken from them. */
function withTlsRelay(machine: Machine): Machine {
  return {
    ...machine,
    start(words, env = {}) {
      const { TS_DEBUG_USE_DERP_HTTP: _plain, ...rest } = env;
      return machine.start(words, rest);
    },
  };
}

interface StartedRelay {
  readonly members: string;
  readonly certName: string;
  readonly pid: number;
}

async function startRelay(machine: Machine): Promise<StartedRelay> {
  const certificate = createSelfSignedCertificate({
    commonName: machine.address,
    names: [],
    addresses: [Uint8Array.from(machine.address.split('.').map(Number))],
    notBefore: Date.now() - DAY_MS,
    notAfter: Date.now() + DAY_MS,
  });
  const fingerprint = readCertificate(certificate.cert)?.fingerprint.replaceAll(':', '').toLowerCase() ?? '';
  const members = join(machine.folder, 'members.json');
  await replace(members, '{}');
  const job: RelayJob = {
    host: machine.address,
    port: RELAY_PORT,
    stunPort: STUN_PORT,
    certificate,
    members,
  };
  const program = join(import.meta.dirname, 'relay-process.ts');
  const running = machine.start([process.execPath, program, JSON.stringify(job)]);
  await eventually(() => {
    if (!running.isRunning()) throw new Error(`the relay ended:\n${running.log()}`);
    return running.log().includes('ready') ? true : null;
  }, 'the relay listens');
  return { members, certName: `sha256-raw:${fingerprint}`, pid: running.pid };
}

interface WithRelay {
  readonly programs: Programs;
  readonly relay: Machine;
  readonly certName: string;
}

/** Headscale with a map of relays that has ours alone. */
async function startWithRelay(
  machine: Machine,
  { programs, relay, certName }: WithRelay,
): Promise<Headscale> {
  const headscale = await startHeadscale(machine, programs.headscale);
  const config = join(machine.folder, 'headscale.json');
  const map = join(machine.folder, 'relays.yaml');
  const node = {
    name: 'own',
    regionid: REGION,
    hostname: relay.address,
    ipv4: relay.address,
    derpport: RELAY_PORT,
    stunport: STUN_PORT,
    certname: certName,
  };
  const region = { regionid: REGION, regioncode: 'own', regionname: 'our own', nodes: [node] };
  /* YAML takes JSON, but for the key, which has to be a number. */
  await writeFile(map, `regions: { ${REGION}: ${JSON.stringify(region)} }\n`);
  const given = JSON.parse(await readFile(config, 'utf8'));
  const derp = { urls: [], paths: [map], auto_update_enabled: false, server: { enabled: false } };
  await writeFile(config, JSON.stringify({ ...given, derp }));
  await headscale.stop();
  await headscale.start();
  return headscale;
}

/** As a whole: the relay may read it at any moment. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
