/** A Postern on a device of the bed, an upstream beside it, and what tests ask of both. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { type PosternProcess, startPostern } from '../postern-process.ts';
import { eventually } from '../scenarios/ask.ts';
import type { Machine, RunningProgram, TailscaleDevice } from './tailnet-bed.ts';
import { type MachineAnswer, type MachineRequest, type MachineStream, askFrom, openFrom } from './request.ts';

const UPSTREAM = fileURLToPath(new URL('../load/upstream-process.ts', import.meta.url));
const MODEL = 'gpt-4o-mini';
const START_TIMEOUT_MS = 15_000;
/** The upstream sends this often: 50 ms. */
const GAP_MS = 50;
/** A stream that nobody cuts would go on for four minutes. */
const CHUNKS = 4800;

export const CAPABILITY = 'postern.dev/cap/gateway';
/** May use every model. */
export const EVERY_MODEL = { role: 'user', models: '**' };

export interface GatewayUnderTest {
  readonly postern: PosternProcess;
  /** From a machine: the answer to `GET /api/v1/whoami`. */
  whoami(machine: Machine, origin: string, options?: MachineRequest): Promise<MachineAnswer>;
  /** A short answer of the built-in test model. */
  chat(machine: Machine, origin: string): Promise<MachineAnswer>;
  /** An answer that goes on until someone ends it; `name` is how the upstream knows it. Resolves once some of it has come. */
  openStream(
    machine: Machine,
    origin: string,
    name: string,
    options?: MachineRequest,
  ): Promise<MachineStream>;
  /** Resolves with the milliseconds from now until the upstream sees that the answer `name` was given up. */
  untilCut(name: string, timeoutMs?: number): Promise<number>;
  /** The upstream still sends the answer `name`. */
  isOpen(name: string): Promise<boolean>;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  readonly flags: readonly string[];
  /** Of the document, besides `upstream`. */
  readonly providers?: Readonly<Record<string, object>>;
  /** The document's grants; without any, only what the network's policy carries counts. */
  readonly grants?: readonly object[];
  readonly env?: Readonly<Record<string, string>>;
  /** Of an earlier run; it stays. */
  readonly stateDir?: string;
}

/** Runs on the device's machine; ends with `stop`, or with the bed. */
export async function startGateway(
  device: Pick<TailscaleDevice, 'machine'>,
  options: GatewayOptions,
): Promise<GatewayUnderTest> {
  const { machine } = device;
  const upstream = machine.start([process.execPath, '--disable-warning=ExperimentalWarning', UPSTREAM]);
  const port = await upstreamPort(upstream);
  const document = {
    providers: {
      upstream: {
        baseurl: `http://127.0.0.1:${port}`,
        apikey: 'sk-upstream',
        models: [MODEL],
        compatibility: { openai_chat: true },
      },
      ...options.providers,
    },
    grants: options.grants ?? [],
  };
  const postern = await startPostern({
    document,
    prefix: machine.prefix,
    flags: options.flags,
    env: options.env ?? {},
    ...(options.stateDir === undefined ? {} : { stateDir: options.stateDir }),
  });
  const sent = async (): Promise<readonly { readonly id: string; readonly whole: boolean }[]> =>
    JSON.parse((await askFrom(machine, `http://127.0.0.1:${port}/sent`)).text);
  return {
    postern,
    whoami: (from, origin, request) => askFrom(from, `${origin}/api/v1/whoami`, request),
    chat: (from, origin) =>
      askFrom(from, `${origin}/v1/chat/completions`, {
        body: { model: 'postern/echo', messages: [{ role: 'user', content: 'hello from afar' }] },
      }),
    async openStream(from, origin, name, request) {
      const plan = `${name} ${CHUNKS} ${GAP_MS} 16`;
      const messages = [{ role: 'user', content: 'go on' }];
      const body = { model: MODEL, user: plan, stream: true, messages };
      const stream = await openFrom(from, `${origin}/v1/chat/completions`, { ...request, body });
      await stream.received(1000);
      assert.equal(stream.status, 200, `${stream.text()}\n${postern.log()}`);
      return stream;
    },
    async untilCut(name, timeoutMs) {
      const since = performance.now();
      const isGivenUp = async (): Promise<true | null> =>
        (await sent()).some(({ id, whole }) => id === name && !whole) ? true : null;
      await eventually(isGivenUp, `the answer ${name} is cut; ${postern.log()}`, timeoutMs);
      return performance.now() - since;
    },
    isOpen: async (name) => (await sent()).every(({ id }) => id !== name),
    async stop() {
      await postern.stop();
      await upstream.stop();
    },
  };
}

function upstreamPort(upstream: RunningProgram): Promise<string> {
  return eventually(
    () => /"port":(\d+)/.exec(upstream.log())?.[1] ?? null,
    'the upstream listens',
    START_TIMEOUT_MS,
  );
}

/** Flags with which Postern knows callers by the device's tailscaled. */
export function tailscaledFlags({ socketPath }: TailscaleDevice): string[] {
  return ['--tailscaled', '--tailscaled-socket', socketPath];
}

/** Where `serve` of this device finds Postern. */
export function serveSocket({ machine }: TailscaleDevice): string {
  return join(machine.folder, 'serve.sock');
}

/** `http://100.64.0.1` and `http://[fd7a::1]`. */
export function originsOf({ addresses: [v4, v6] }: TailscaleDevice): readonly [string, string] {
  return [`http://${v4}`, `http://[${v6}]`];
}
