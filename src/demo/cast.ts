/** Everybody in the demo with their devices, and what they do in person: show presence, write, decide. */
import type { Clock, UnixMs } from '../base/clock.ts';
import {
  createDemoClient,
  DemoFailure,
  type DemoAnswer,
  type DemoClient,
  type DemoRequest,
} from './client.ts';
import type { DemoNetwork } from './network.ts';
import { MACHINES, PEOPLE, STRANGER, type DemoPerson } from './people.ts';

export interface Cast {
  /** By the device's name. */
  device(name: string): DemoClient;
  /** The first device of somebody. */
  of(person: DemoPerson): DemoClient;
  /** Sends as somebody who showed that they are there. @throws DemoFailure unless the answer is a success. */
  inPerson(person: DemoPerson, what: string, request: DemoRequest): Promise<DemoAnswer>;
}

/** Lines that the server printed on its operator's terminal; the demo reads them as its people would. */
export interface Terminal {
  readonly announced: readonly string[];
}

export interface CastOptions {
  readonly network: DemoNetwork;
  readonly serverUrl: string;
  readonly terminal: Terminal;
  readonly clock: Clock;
}

/** Presence lasts 10 minutes; it is shown again when it is older than this. */
const PRESENCE_KEPT_MS = 8 * 60_000;

export function createCast({ network, serverUrl, terminal, clock }: CastOptions): Cast {
  const presences = new Map<string, { readonly token: string; readonly until: UnixMs }>();
  const presenceOf = async (person: DemoPerson): Promise<string> => {
    const known = presences.get(person.login);
    if (known !== undefined && known.until > clock.now()) return known.token;
    const until = clock.now() + PRESENCE_KEPT_MS;
    const token = await showPresence(of(person), terminal);
    presences.set(person.login, { token, until });
    return token;
  };
  const clients = new Map<string, DemoClient>();
  for (const person of [...PEOPLE, STRANGER]) {
    for (const name of person.devices)
      clients.set(name, createDemoClient(network, network.addPerson(person, name), serverUrl));
  }
  for (const machine of MACHINES)
    clients.set(machine.name, createDemoClient(network, network.addMachine(machine), serverUrl));
  const device = (name: string): DemoClient => {
    const client = clients.get(name);
    if (client === undefined) throw new RangeError(`the demo has no device ${name}`);
    return client;
  };
  const of = (person: DemoPerson): DemoClient => device(person.devices[0] ?? '');
  return {
    device,
    of,
    async inPerson(person, what, request) {
      const presence = await presenceOf(person);
      const answer = await of(person).send({
        ...request,
        headers: { ...request.headers, 'x-postern-presence': presence },
      });
      if (answer.status >= 300) throw new DemoFailure(what, answer);
      return answer;
    },
  };
}

/** With the one-time code of the operator's terminal, as `postern login` does. */
async function showPresence(client: DemoClient, terminal: Terminal): Promise<string> {
  const asked = await must(client, 'ask for presence', {
    path: '/api/v1/presence/requests',
    body: { client: 'postern login', announce: true },
  });
  const { id, poll_secret: pollSecret } = asked.json();
  const code = /#([0-9a-z]+)/.exec(terminal.announced.at(-1) ?? '')?.[1] ?? '';
  const path = `/api/v1/presence/requests/${String(id)}`;
  await must(client, 'confirm presence', { path: `${path}/confirm`, body: { code } });
  const collected = await must(client, 'collect presence', {
    path: `${path}/poll`,
    body: { poll_secret: pollSecret },
  });
  return String(collected.json()['token']);
}

async function must(
  client: Pick<DemoClient, 'send'>,
  what: string,
  request: DemoRequest,
): Promise<DemoAnswer> {
  const answer = await client.send(request);
  if (answer.status >= 300) throw new DemoFailure(what, answer);
  return answer;
}
