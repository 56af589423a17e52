/** The servers that are measured: Postern's coordination server, and Headscale where it is installed. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, type StartedProcess, startProcess, TARGET_CORE, untilListening } from '../processes.ts';

export interface Subject {
  readonly name: string;
  readonly url: string;
  pid(): number;
  /** A tailnet with everything allowed; its reusable auth key. Headscale has one tailnet only. */
  addTailnet(name: string): Promise<string>;
  /** Everything is allowed on this TCP port, and nothing else. Resolves when the server has taken it. */
  allowPort(tailnet: string, port: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** After `kill`, at the same address; resolves when it listens. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const PROCESS = fileURLToPath(new URL('./postern-process.ts', import.meta.url));
/** Headscale of `npm run test:interop`, which builds it. */
const HEADSCALE = join(homedir(), '.cache', 'postern-interop', 'bin', 'headscale');
const START_TIMEOUT_MS = 60_000;

export async function startPosternControl(folder: string): Promise<Subject> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const begin = async (): Promise<StartedProcess> => {
    const words = [process.execPath, '--disable-warning=ExperimentalWarning', PROCESS, String(port), folder];
    const started = startProcess(words, { core: TARGET_CORE });
    await started.firstLine;
    return started;
  };
  const ask = async (question: Record<string, string>): Promise<string> => {
    const response = await fetch(`${url}/bench?${new URLSearchParams(question).toString()}`);
    const text = await response.text();
    if (response.status !== 200) throw new Error(text);
    return text;
  };
  let running = await begin();
  return {
    name: 'Postern',
    url,
    pid: () => running.pid,
    addTailnet: (tailnet) => ask({ tailnet }),
    async allowPort(tailnet, allowed) {
      await ask({ tailnet, policy: policyFor(allowed) });
    },
    kill: () => killed(running.pid),
    async start() {
      running = await begin();
    },
    stop: () => running.stop(),
  };
}

/** Null where it is not installed. */
export async function startHeadscaleControl(folder: string): Promise<Subject | null> {
  if (!existsSync(HEADSCALE)) return null;
  const port = await freePort();
  const [metrics, grpc] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, 'headscale.json');
  const configuration = headscaleConfiguration({ folder, url, port, metrics, grpc });
  writeFileSync(config, JSON.stringify(configuration));
  const command = (words: readonly string[]): string => {
    const result = spawnSync(HEADSCALE, ['--config', config, '--output', 'json', ...words], {
      encoding: 'utf8',
    });
    if (result.status !== 0) throw new Error(`headscale ${words.join(' ')}: ${result.stderr}`);
    return result.stdout;
  };
  const begin = async (): Promise<StartedProcess> => {
    const started = startProcess([HEADSCALE, '--config', config, 'serve'], { core: TARGET_CORE });
    await untilListening(port, START_TIMEOUT_MS, started);
    return started;
  };
  let running = await begin();
  return {
    name: 'Headscale',
    url,
    pid: () => running.pid,
    addTailnet(tailnet) {
      const user = Object(JSON.parse(command(['users', 'create', tailnet])));
      const words = ['preauthkeys', 'create', '--reusable', '--expiration', '1h', '--user', String(user.id)];
      return Promise.resolve(String(Object(JSON.parse(command(words))).key));
    },
    allowPort(_tailnet, allowed) {
      const file = join(folder, 'policy.json');
      writeFileSync(file, policyFor(allowed));
      command(['policy', 'set', '--file', file]);
      return Promise.resolve();
    },
    kill: () => killed(running.pid),
    async start() {
      running = await begin();
    },
    stop: () => running.stop(),
  };
}

function policyFor(port: number): string {
  return JSON.stringify({ acls: [{ action: 'accept', src: ['*'], dst: [`*:${port}`] }] });
}

async function killed(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  while (existsSync(`/proc/${pid}/root`)) await sleep(10);
}

interface HeadscalePlace {
  readonly folder: string;
  readonly url: string;
  readonly port: number;
  readonly metrics: number;
  readonly grpc: number;
}

/** YAML takes JSON. What is not said is as Headscale ships it. */
function headscaleConfiguration({ folder, url, port, metrics, grpc }: HeadscalePlace): object {
  const at = (name: string): string => join(folder, name);
  return {
    server_url: url,
    listen_addr: `127.0.0.1:${port}`,
    metrics_listen_addr: `127.0.0.1:${metrics}`,
    grpc_listen_addr: `127.0.0.1:${grpc}`,
    unix_socket: at('headscale.sock'),
    noise: { private_key_path: at('noise.key') },
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
    database: { type: 'sqlite', sqlite: { path: at('headscale.sqlite'), write_ahead_log: true } },
    derp: {
      urls: [],
      auto_update_enabled: false,
      server: {
        enabled: true,
        region_id: 900,
        region_code: 'bench',
        region_name: 'Bench',
        verify_clients: true,
        stun_listen_addr: '127.0.0.1:0',
        private_key_path: at('derp.key'),
        automatically_add_embedded_derp_region: true,
        ipv4: '127.0.0.1',
      },
    },
    dns: {
      magic_dns: true,
      base_domain: 'bench.test',
      override_local_dns: false,
      nameservers: { global: [] },
    },
    policy: { mode: 'database' },
    disable_check_updates: true,
    logtail: { enabled: false },
    log: { level: 'error', format: 'text' },
  };
}
