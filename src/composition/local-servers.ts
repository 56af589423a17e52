/**
 * Model servers on this machine that can be used without a key: found at start, allowed as exact
 * address and port, and only if the starter or a system account owns the socket (DESIGN section 6).
 */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import type { FoundProvider } from '../config/index.ts';

export interface LocalServer {
  readonly provider: FoundProvider;
  readonly address: string;
  readonly port: number;
}

/** Where a server of one kind listens by default. */
export interface Probe {
  readonly id: string;
  readonly name: string;
  readonly port: number;
  /** Lists the server's models in OpenAI's format. */
  readonly path: string;
}

const ADDRESS = '127.0.0.1';
/** Ports that the servers take by default. llama.cpp's own default, 8080, is ours; people move it one on. */
const PROBES: readonly Probe[] = [
  { id: 'ollama', name: 'Ollama', port: 11434, path: '/v1/models' },
  { id: 'llamacpp', name: 'llama.cpp', port: 8081, path: '/v1/models' },
  { id: 'lmstudio', name: 'LM Studio', port: 1234, path: '/v1/models' },
  { id: 'vllm', name: 'vLLM', port: 8000, path: '/v1/models' },
];

/** A server on this machine answers at once or is not there. */
const PROBE_TIMEOUT_MS = 400;
const PROBE_MAX_BYTES = 256 * 1024;
const MODELS_MAX = 500;

export interface FindLocalOptions {
  /** Uid that owns the listening socket on an address and port; null if none or unknown. */
  readonly ownerOf: (address: string, port: number) => Promise<number | null>;
  /** Uid of this process. */
  readonly ownUid: number | null;
  /** Default: the ports that the known servers take. */
  readonly probes?: readonly Probe[];
}

/** Accounts below this belong to the system (login.defs SYS_UID_MAX). */
const SYSTEM_UID_MAX = 999;

export async function findLocalServers(options: FindLocalOptions): Promise<readonly LocalServer[]> {
  const found = await Promise.all((options.probes ?? PROBES).map((probe) => findServer(probe, options)));
  return found.filter((server) => server !== null);
}

async function findServer(probe: Probe, options: FindLocalOptions): Promise<LocalServer | null> {
  const owner = await options.ownerOf(ADDRESS, probe.port);
  if (owner === null || options.ownUid === null) return null;
  if (owner !== options.ownUid && owner > SYSTEM_UID_MAX) return null;
  const models = await listModels(probe);
  if (models === null) return null;
  return {
    address: ADDRESS,
    port: probe.port,
    provider: {
      id: probe.id,
      name: probe.name,
      baseUrl: `http://${ADDRESS}:${probe.port}`,
      header: 'none',
      secret: null,
      envName: `${ADDRESS}:${probe.port}`,
      compatibility: ['openai_chat'],
      costBasis: null,
      models,
    },
  };
}

/** Model ids, or null where nobody answers in the expected way. */
function listModels(probe: Probe): Promise<string[] | null> {
  return new Promise((resolve) => {
    const request = http.get(
      { host: ADDRESS, port: probe.port, path: probe.path, timeout: PROBE_TIMEOUT_MS },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > PROBE_MAX_BYTES) request.destroy();
          else chunks.push(chunk);
        });
        response.on('end', () =>
          resolve(response.statusCode === 200 ? modelIds(Buffer.concat(chunks)) : null),
        );
        response.on('error', () => resolve(null));
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(null));
    request.on('close', () => resolve(null));
  });
}

function modelIds(body: Buffer): string[] | null {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (parsed === null || typeof parsed !== 'object' || !('data' in parsed) || !Array.isArray(parsed.data))
      return null;
    const ids = parsed.data.map((model: unknown) =>
      model !== null && typeof model === 'object' && 'id' in model ? model.id : null,
    );
    return ids.filter((id): id is string => typeof id === 'string' && id !== '').slice(0, MODELS_MAX);
  } catch {
    return null;
  }
}

/** Kernel state of a listening socket in /proc/net/tcp. */
const TCP_LISTEN = '0A';

/** Uid that owns the listening IPv4 socket on an address and port, by the kernel's table; null elsewhere than on Linux. */
export async function listeningOwner(address: string, port: number): Promise<number | null> {
  let table: string;
  try {
    table = await readFile('/proc/net/tcp', 'utf8');
  } catch {
    return null;
  }
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const wanted = [hexAddress(address), '00000000'].map((ip) => `${ip}:${hexPort}`);
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , state, , , , uid] = line.trim().split(/\s+/);
    if (state === TCP_LISTEN && wanted.includes(local) && uid !== undefined) return Number(uid);
  }
  return null;
}

/** The kernel writes IPv4 addresses as one little-endian hexadecimal number. */
function hexAddress(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).toUpperCase().padStart(2, '0'));
  return bytes.reverse().join('');
}
