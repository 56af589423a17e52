/** What the bench compares: each starts in front of the mock and says how it is called, or why it cannot. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RUNGS, startRung, whyAbsent } from './ladder.ts';
import type { Rung } from './ladder.ts';
import { TARGET_CORE, findProgram, freePort, startProcess, untilListening } from './processes.ts';
import type { StartedProcess } from './processes.ts';

export interface RunningTarget {
  /** Of a chat completion. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whose processor time and memory is measured, with all below it; null for the mock itself. */
  readonly pid: number | null;
  /** What it wrote last, for messages. */
  log(): string;
  stop(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** What it does for each request, for the table. */
  readonly does: string;
  /** Null when it can be started; else why not. */
  absent(): string | null | Promise<string | null>;
  /** `mock` is the upstream's origin, `folder` a place for its files. */
  start(mock: string, folder: string): Promise<RunningTarget>;
}

const CACHE = fileURLToPath(new URL('./.cache', import.meta.url));
const CHAT = '/v1/chat/completions';
/** Python programs take their time. */
const START_TIMEOUT_MS = 90_000;

function running(
  process_: StartedProcess,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): RunningTarget {
  return { url, headers, pid: process_.pid, log: () => process_.output(), stop: () => process_.stop() };
}

const direct: Target = {
  name: 'direct',
  does: 'the mock itself',
  absent: () => null,
  start: (mock) =>
    Promise.resolve({
      url: `${mock}${CHAT}`,
      headers: {},
      pid: null,
      log: () => '',
      stop: () => Promise.resolve(),
    }),
};

const nginx: Target = {
  name: 'nginx',
  does: 'forwards',
  absent: () => (findProgram('nginx') === null ? 'nginx is not installed (bench/install.sh)' : null),
  start: async (mock, folder) => {
    const port = await freePort();
    const config = `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  keepalive_requests 1000000;
  upstream mock { server ${new URL(mock).host}; keepalive 1024; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=8192;
    location / {
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer sk-bench";
      proxy_buffering off;
      proxy_read_timeout 120s;
    }
  }
}
`;
    const path = join(folder, 'nginx.conf');
    await writeFile(path, config);
    const process_ = startProcess([findProgram('nginx') ?? 'nginx', '-c', path, '-p', folder], {
      core: TARGET_CORE,
    });
    await untilListening(port, START_TIMEOUT_MS, process_);
    return running(process_, `http://127.0.0.1:${port}${CHAT}`);
  },
};

/** The usual parts and nothing else; the first rung of the ladder, and what the guard divides by. */
export const BASELINE = 'bare node:http + undici';

const baseline: Target = {
  name: BASELINE,
  does: 'forwards',
  absent: () => null,
  start: async (mock) => {
    const script = fileURLToPath(new URL('./baseline-proxy.ts', import.meta.url));
    const process_ = startProcess([process.execPath, script, mock], { core: TARGET_CORE });
    const { port } = JSON.parse(await process_.firstLine);
    return running(process_, `http://127.0.0.1:${port}${CHAT}`);
  },
};

/** Postern as one rung of the ladder has it. */
function postern(rung: Rung): Target {
  return {
    name: rung.name,
    does: rung.does,
    absent: () => whyAbsent(rung),
    start: async (mock) => {
      const started = await startRung(rung, mock);
      const url = `${started.url}${CHAT}`;
      return { url, headers: {}, pid: started.pid, log: () => started.log(), stop: () => started.stop() };
    },
  };
}

const PORTKEY = join(CACHE, 'portkey/node_modules/@portkey-ai/gateway/build/start-server.js');

const portkey: Target = {
  name: 'Portkey',
  // On Node 26 its streams fail inside ("TypeError: immutable"); then they count as errors.
  does: 'routes by headers',
  absent: () => (existsSync(PORTKEY) ? null : 'not installed (bench/install.sh)'),
  start: async (mock) => {
    const port = await freePort();
    const options = {
      core: TARGET_CORE,
      env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost' },
    };
    const process_ = startProcess([process.execPath, PORTKEY, `--port=${port}`, '--headless'], options);
    await untilListening(port, START_TIMEOUT_MS, process_);
    return running(process_, `http://127.0.0.1:${port}${CHAT}`, {
      authorization: 'Bearer sk-bench',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${mock}/v1`,
    });
  },
};

const LITELLM = join(CACHE, 'litellm/bin/litellm');

const litellm: Target = {
  name: 'LiteLLM',
  does: 'routes by model, one worker, no database',
  absent: () => (existsSync(LITELLM) ? null : 'not installed (bench/install.sh)'),
  start: async (mock, folder) => {
    const port = await freePort();
    const config = join(folder, 'litellm.json');
    const model = { model: 'openai/*', api_base: `${mock}/v1`, api_key: 'sk-bench' };
    await writeFile(config, JSON.stringify({ model_list: [{ model_name: '*', litellm_params: model }] }));
    const env = { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR', NO_PROXY: '127.0.0.1' };
    const words = [
      LITELLM,
      '--config',
      config,
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--num_workers',
      '1',
    ];
    const process_ = startProcess([...words, '--telemetry', 'False'], { core: TARGET_CORE, env });
    await untilListening(port, START_TIMEOUT_MS, process_);
    return running(process_, `http://127.0.0.1:${port}${CHAT}`);
  },
};

const BIFROST = join(CACHE, 'bifrost/bifrost-http');

const bifrost: Target = {
  name: 'Bifrost',
  does: 'routes by model',
  absent: () => (existsSync(BIFROST) ? null : 'not built (bench/install.sh, bench/.cache/bifrost/build.log)'),
  start: async (mock, folder) => {
    const port = await freePort();
    const keys = [{ name: 'bench', value: 'sk-bench', models: ['*'], weight: 1 }];
    const provider = { keys, network_config: { base_url: mock } };
    await writeFile(join(folder, 'config.json'), JSON.stringify({ providers: { openai: provider } }));
    const process_ = startProcess(
      [BIFROST, '-app-dir', folder, '-host', '127.0.0.1', '-port', String(port)],
      {
        core: TARGET_CORE,
      },
    );
    await untilListening(port, START_TIMEOUT_MS, process_);
    return running(process_, `http://127.0.0.1:${port}${CHAT}`);
  },
};

/** Everything the bench knows, floor first. */
export const TARGETS: readonly Target[] = [
  direct,
  nginx,
  baseline,
  ...RUNGS.map(postern),
  portkey,
  litellm,
  bifrost,
];

/** A folder of its own for a target's files. */
export async function folderFor(root: string, target: Target): Promise<string> {
  const folder = join(root, target.name.replaceAll(/\W+/g, '-'));
  await mkdir(folder, { recursive: true });
  return folder;
}
