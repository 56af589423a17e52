/**
 * The demo's network: a LocalAPI of its own (tailscale.com/ipn/localapi) on a socket in the demo's
 * folder, which the real door `tailscaled` asks. It knows the connections that the demo's own clients
 * opened, by their port, and nobody else: a browser on this machine stays a caller of the door `local`.
 * Only `whois`, `status` and the watch are there.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net from 'node:net';
import type { DemoMachine, DemoPerson } from './people.ts';

/** A device and who uses it. */
export interface DemoDevice {
  readonly name: string;
  readonly address: string;
  readonly person: DemoPerson | null;
  readonly machine: DemoMachine | null;
}

export interface DemoNetwork {
  readonly socketPath: string;
  addPerson(person: DemoPerson, device: string): DemoDevice;
  addMachine(machine: DemoMachine): DemoDevice;
  /** Keep-alive connections to the server that are this device's. */
  agentOf(device: DemoDevice): http.Agent;
  close(): Promise<void>;
}

const TAGGED_USER_ID = 8999;
/** The gateway's own address in its network. */
const OWN_ADDRESS = '100.64.0.1';

export async function startDemoNetwork(socketPath: string): Promise<DemoNetwork> {
  const owners = new Map<number, DemoDevice>();
  const agents: http.Agent[] = [];
  let devices = 0;
  const server = http.createServer((req, res) => answer(owners, req, res));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  const add = (
    name: string,
    who: { readonly person: DemoPerson | null; readonly machine: DemoMachine | null },
  ): DemoDevice => {
    devices += 1;
    return { name, address: `100.64.1.${devices}`, ...who };
  };
  return {
    socketPath,
    addPerson: (person, device) => add(device, { person, machine: null }),
    addMachine: (machine) => add(machine.name, { person: null, machine }),
    agentOf(device) {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
      agent.createConnection = (options) => connectAs(owners, device, options);
      agents.push(agent);
      return agent;
    },
    async close() {
      for (const agent of agents) agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A connection is known before its first byte is sent, and forgotten when it ends. */
function connectAs(
  owners: Map<number, DemoDevice>,
  device: DemoDevice,
  options: http.ClientRequestArgs,
): net.Socket {
  const socket = net.connect({ host: options.host ?? '127.0.0.1', port: Number(options.port) });
  socket.once('connect', () => {
    const { localPort } = socket;
    if (localPort === undefined) return;
    owners.set(localPort, device);
    socket.once('close', () => owners.delete(localPort));
  });
  return socket;
}

function answer(owners: ReadonlyMap<number, DemoDevice>, req: IncomingMessage, res: ServerResponse): void {
  const url = new URL(req.url ?? '/', 'http://local-tailscaled.sock');
  switch (url.pathname) {
    case '/localapi/v0/whois': {
      const port = Number(/:(\d+)$/.exec(url.searchParams.get('addr') ?? '')?.[1]);
      const device = owners.get(port);
      if (device === undefined) return void res.writeHead(404).end('no match for IP:port\n');
      return sendJson(res, whoisOf(device));
    }
    case '/localapi/v0/status':
      return sendJson(res, {
        Version: 'demo',
        BackendState: 'Running',
        TUN: false,
        CertDomains: null,
        TailscaleIPs: [OWN_ADDRESS],
        Self: { DNSName: 'postern.demo.ts.net.', TailscaleIPs: [OWN_ADDRESS] },
      });
    case '/localapi/v0/watch-ipn-bus':
      // Open until the server leaves: nothing ever changes here.
      return void res.writeHead(200, { 'content-type': 'application/json' }).write('{"Version":"demo"}\n');
    default:
      return void res.writeHead(404).end('404 page not found\n');
  }
}

function sendJson(res: ServerResponse, value: unknown): void {
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function whoisOf({ name, address, person, machine }: DemoDevice): unknown {
  const userId = person?.userId ?? TAGGED_USER_ID;
  return {
    Node: {
      StableID: `nDemo-${name}`,
      Name: `${name}.demo.ts.net.`,
      ComputedName: name,
      User: userId,
      Addresses: [`${address}/32`],
      AllowedIPs: [`${address}/32`],
      ...(machine === null ? {} : { Tags: machine.tags }),
    },
    UserProfile: {
      ID: userId,
      LoginName: person?.login ?? 'tagged-devices',
      DisplayName: person?.name ?? 'Tagged Devices',
    },
    CapMap: null,
  };
}
