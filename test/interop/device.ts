/** An official tailscaled on a machine of the bed, and its `tailscale` command. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CommandResult } from '../postern-process.ts';
import { eventually } from '../scenarios/ask.ts';
import type { ExecOptions, Machine, RunningProgram } from './machines.ts';
import type { Programs } from './programs.ts';

export interface TailscaleDevice {
  readonly name: string;
  readonly machine: Machine;
  /** The daemon's LocalAPI, for `--tailscaled-socket`. */
  readonly socketPath: string;
  /** Its tailnet addresses: IPv4, IPv6. */
  readonly addresses: readonly [string, string];
  /** Without the dot at its end. */
  readonly dnsName: string;
  /** Runs `tailscale …` for this daemon. */
  tailscale(words: readonly string[], options?: ExecOptions): Promise<CommandResult>;
  /** The same, and fails the test unless it ends with 0; its output. */
  mustTailscale(words: readonly string[], options?: ExecOptions): Promise<string>;
  /** `tailscale status --json`, peers included. */
  status(): Promise<Readonly<Record<string, unknown>>>;
  /** Resolves when this device knows `peer` and reaches it through the tunnel. */
  reach(peer: { readonly name: string; readonly addresses: readonly [string, string] }): Promise<void>;
  /** Joins, or joins again, with this key. */
  up(authKey: string): Promise<void>;
  log(): string;
  stopDaemon(): Promise<void>;
  /** After `stopDaemon`; the device is who it was. */
  startDaemon(): Promise<void>;
}

export interface DeviceOptions {
  readonly programs: Programs;
  readonly controlUrl: string;
  readonly authKey: string;
  /** Without a network device of its own. Default false. */
  readonly userspace?: boolean;
  /** Only through the relay, never directly. Default false. */
  readonly relayOnly?: boolean;
  /** The relay speaks TLS, as relays do. Default false: Headscale's here speaks plain HTTP. */
  readonly relayTls?: boolean;
  /** Further words for `tailscale up`, such as `--advertise-routes=…`. */
  readonly up?: readonly string[];
}

const UP_TIMEOUT_MS = 60_000;
const SOCKET_TIMEOUT_MS = 20_000;
/** Of a peer that the device has not heard of yet, `ping` says so at once. */
const PING_PAUSE_MS = 200;

/** Starts the daemon and joins. */
export async function startDevice(machine: Machine, options: DeviceOptions): Promise<TailscaleDevice> {
  const { programs, controlUrl } = options;
  const folder = join(machine.folder, 'tailscale');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const socketPath = join(folder, 'tailscaled.sock');
  const tailscale: TailscaleDevice['tailscale'] = (words, more) =>
    machine.exec([programs.tailscale, `--socket=${socketPath}`, ...words], more);
  const mustTailscale: TailscaleDevice['mustTailscale'] = async (words, more) => {
    const result = await tailscale(words, more);
    assert.equal(
      result.code,
      0,
      `tailscale ${words[0]} on ${machine.name}: ${result.stderr}\n${daemon.log()}`,
    );
    return result.stdout;
  };
  const status: TailscaleDevice['status'] = async () =>
    Object(JSON.parse(await mustTailscale(['status', '--json'])));
  const begin = async (): Promise<RunningProgram> => {
    const started = machine.start(
      daemonWords(options, folder, socketPath),
      daemonEnvironment(options, folder),
    );
    await eventually(
      async () => {
        assert.ok(started.isRunning(), `tailscaled of ${machine.name} ended:\n${started.log()}`);
        return (await tailscale(['status', '--json'])).code === 0 ? true : null;
      },
      `tailscaled of ${machine.name} answers`,
      SOCKET_TIMEOUT_MS,
    );
    return started;
  };
  const up = async (authKey: string): Promise<void> => {
    const words = [
      'up',
      `--login-server=${controlUrl}`,
      `--auth-key=${authKey}`,
      `--hostname=${machine.name}`,
    ];
    const timeout = `--timeout=${UP_TIMEOUT_MS / 1000}s`;
    /* The bed's machines have no firewall to manage. */
    const rest = ['--netfilter-mode=off', '--reset', timeout, ...(options.up ?? [])];
    await mustTailscale([...words, ...rest], { timeoutMs: UP_TIMEOUT_MS + 5000 });
  };

  let daemon = await begin();
  await up(options.authKey);
  const self = Object(Object(await status())['Self']);
  const [v4, v6] = (self['TailscaleIPs'] as readonly unknown[]).map(String);
  return {
    name: machine.name,
    machine,
    socketPath,
    addresses: [v4 ?? '', v6 ?? ''],
    dnsName: String(self['DNSName']).replace(/\.$/, ''),
    tailscale,
    mustTailscale,
    status,
    up,
    async reach(peer) {
      const words = ['ping', '--c=1', '--timeout=2s', '--until-direct=false', peer.addresses[0]];
      await eventually(
        async () => {
          if ((await tailscale(words)).code === 0) return true;
          await delay(PING_PAUSE_MS);
          return null;
        },
        `${machine.name} reaches ${peer.name}`,
        UP_TIMEOUT_MS,
      );
    },
    log: () => daemon.log(),
    stopDaemon: () => daemon.stop(),
    async startDaemon() {
      daemon = await begin();
      await eventually(
        async () => (Object(await status())['BackendState'] === 'Running' ? true : null),
        `${machine.name} is up again`,
        UP_TIMEOUT_MS,
      );
    },
  };
}

function daemonWords({ programs, userspace }: DeviceOptions, folder: string, socketPath: string): string[] {
  return [
    programs.tailscaled,
    `--statedir=${folder}`,
    `--socket=${socketPath}`,
    `--tun=${userspace === true ? 'userspace-networking' : 'tailscale0'}`,
    '--port=41641',
    '--no-logs-no-support',
  ];
}

/** Nothing of it may look for the outside: no log server, no port mapping, no vendor's control. */
function daemonEnvironment({ relayOnly, relayTls }: DeviceOptions, folder: string): Record<string, string> {
  return {
    TS_NO_LOGS_NO_SUPPORT: 'true',
    TS_LOGS_DIR: folder,
    TS_PANIC_IF_HIT_MAIN_CONTROL: '1',
    TS_DISABLE_PORTMAPPER: '1',
    TS_ASSUME_NETWORK_UP_FOR_TEST: '1',
    /* Headscale's relay speaks the same port as its control: plain HTTP. */
    ...(relayTls === true ? {} : { TS_DEBUG_USE_DERP_HTTP: '1' }),
    ...(relayOnly === true ? { TS_DEBUG_NEVER_DIRECT_UDP: '1' } : {}),
  };
}
