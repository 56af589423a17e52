/**
 * The policy engines of examples/hooks, as `scripts/install-policy-engines.sh` builds them at pinned
 * versions, outside the tree: started on loopback for one test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const EXAMPLES = join(import.meta.dirname, '../../examples/hooks');
/** Both are up within a second on an idle machine. */
const START_MAX_MS = 60_000;

/** OPA with the example's policy. The base address of its API. */
export async function startOpa(t: TestContext): Promise<string> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const policy = join(EXAMPLES, 'opa/postern.rego');
  const flags = ['run', '--server', '--addr', address, '--log-level', 'error', '--skip-version-check'];
  const child = start(t, 'opa', [...flags, policy]);
  await answers(child, `http://${address}/health`);
  return `http://${address}`;
}

/** Cerbos with the example's policies. The base address of its API. */
export async function startCerbos(t: TestContext): Promise<string> {
  const [http, grpc] = [await freePort(), await freePort()];
  const child = start(t, 'cerbos', [
    'server',
    '--log-level=error',
    '--set=storage.driver=disk',
    `--set=storage.disk.directory=${join(EXAMPLES, 'cerbos/policies')}`,
    `--set=server.httpListenAddr=127.0.0.1:${http}`,
    `--set=server.grpcListenAddr=127.0.0.1:${grpc}`,
    '--set=telemetry.disabled=true',
  ]);
  await answers(child, `http://127.0.0.1:${http}/_cerbos/health`);
  return `http://127.0.0.1:${http}`;
}

/** @throws Error if the program is missing: a missing tool is a failure, never a skip. */
function start(t: TestContext, name: string, args: readonly string[]): ChildProcess {
  const env = process.env;
  const cache =
    env['POSTERN_INTEROP_CACHE'] ??
    join(env['XDG_CACHE_HOME'] ?? join(env['HOME'] ?? homedir(), '.cache'), 'postern-interop');
  const path = join(cache, 'bin', name);
  if (!existsSync(path)) throw new Error(`${path} is missing: run scripts/install-policy-engines.sh`);
  const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

async function answers(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + START_MAX_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the policy engine ended with ${child.exitCode}`);
    const response = await fetch(url).catch(() => null);
    await response?.body?.cancel();
    if (response?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing answers at ${url} after ${START_MAX_MS} ms`);
}

/** Neither program says which port it got, so it is given one that was free just now. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}
