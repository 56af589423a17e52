import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { systemClock } from '../../../base/clock.ts';
import { systemRandom } from '../../../base/random.ts';
import { formatIpPort, type IpPort, parseIpPort } from '../../../wire/ip-port.ts';
import { encodeStunAnswer, parseStunRequest } from '../../../wire/stun.ts';
import { EMPTY_DERP_MAP, type NetFacts, NO_NET_FACTS, systemSleep } from '../../protocol/index.ts';
import { updateDerpMap } from '../../protocol/derp-map.ts';
import { EndpointSurvey, tellsNews } from './endpoint-survey.ts';

const SEEN_AS = at('203.0.113.9:7000');
let survey: EndpointSurvey | null = null;

afterEach(() => survey?.close());

function at(text: string): IpPort {
  const found = parseIpPort(text);
  assert.ok(found !== null, text);
  return found;
}

interface Asked {
  /** Servers that were asked, in order. */
  readonly servers: string[];
  /** Waits for the facts of the next round that is complete. */
  readonly facts: Promise<NetFacts>;
}

/** A survey that asks `answering` servers, which see us all at one address, and others, which are silent. */
function start(
  options: { readonly answering: readonly string[]; readonly dial?: () => Promise<never> },
  allowLoopback = false,
): Asked {
  const servers: string[] = [];
  const facts = Promise.withResolvers<NetFacts>();
  survey = new EndpointSurvey({
    clock: systemClock,
    random: systemRandom,
    sleep: (ms, signal) => systemSleep(ms / 20, signal),
    dialer: { dial: options.dial ?? (() => Promise.reject(new Error('no way out'))) },
    plainHost: null,
    portIpv4: 41_641,
    portIpv6: null,
    configured: [at('198.51.100.7:41641')],
    allowLoopback,
    sendUdp: (to, host, datagram) => {
      servers.push(formatIpPort(to));
      assert.equal(formatIpPort(to), `${host}:${to.port}`);
      const tx = parseStunRequest(datagram);
      assert.ok(tx !== null);
      if (options.answering.includes(formatIpPort(to))) survey?.receive(encodeStunAnswer(tx, SEEN_AS));
    },
    found: (found) => {
      if (found.hasUdp !== null || found.endpoints.length > 0) facts.resolve(found);
    },
    networkChanged: () => assert.fail('the network has not changed'),
  });
  return { servers, facts: facts.promise };
}

function regions(...hosts: readonly string[]): typeof EMPTY_DERP_MAP {
  const entries = hosts.map((host, index) => {
    const id = index + 1;
    const [HostName, port] = host.split(':');
    return [id, { RegionID: id, Nodes: [{ Name: `${id}`, HostName, STUNPort: Number(port) }] }] as const;
  });
  return updateDerpMap(EMPTY_DERP_MAP, { Regions: Object.fromEntries(entries) });
}

describe('the endpoint survey', () => {
  test('asks every region, tells where we are seen, and makes the one that answers the home', async () => {
    const { servers, facts } = start({ answering: ['192.168.9.2:3478'] });
    survey?.setDerpMap(regions('192.168.9.1:3478', '192.168.9.2:3478'));
    const found = await facts;
    assert.deepEqual([...new Set(servers)], ['192.168.9.1:3478', '192.168.9.2:3478']);
    assert.equal(servers.filter((server) => server.includes('.1:')).length, 3, 'the silent one thrice');
    assert.deepEqual([found.homeDerp, found.hasUdp, found.hasIpv6], [2, true, false]);
    assert.deepEqual(
      found.endpoints.slice(0, 2).map(({ address, source }) => `${formatIpPort(address)} ${source}`),
      ['198.51.100.7:41641 configured', '203.0.113.9:7000 stun'],
    );
  });

  test('a map cannot have us send to this machine or to groups of machines', async () => {
    const { servers, facts } = start({ answering: [] });
    survey?.setDerpMap(regions('127.0.0.1:3478', '224.0.0.1:3478', '192.168.9.2:3478'));
    await facts;
    assert.deepEqual([...new Set(servers)], ['192.168.9.2:3478']);
  });

  test('where UDP does not pass, relays are asked over HTTPS', async () => {
    let dials = 0;
    const dial = (): Promise<never> => {
      dials += 1;
      return Promise.reject(new Error('no way out'));
    };
    const { facts } = start({ answering: [], dial });
    survey?.setDerpMap(regions('192.168.9.1:3478', '192.168.9.2:3478'));
    const found = await facts;
    assert.deepEqual([found.hasUdp, found.homeDerp, dials], [false, 1, 2]);
  });

  test('an answer that nobody asked for is passed over', () => {
    start({ answering: [] });
    survey?.receive(encodeStunAnswer(Buffer.alloc(12), SEEN_AS));
    survey?.receive(Buffer.from('nonsense'));
    assert.equal(survey?.facts, NO_NET_FACTS);
  });

  test('latency alone is no news; a home, an address and the lack of UDP are', () => {
    const facts: NetFacts = {
      ...NO_NET_FACTS,
      homeDerp: 1,
      endpoints: [{ address: SEEN_AS, source: 'stun' }],
    };
    assert.equal(tellsNews({ ...facts, derpLatency: new Map([['1-v4', 1]]) }, facts), false);
    assert.equal(tellsNews({ ...facts, homeDerp: 2 }, facts), true);
    assert.equal(tellsNews({ ...facts, endpoints: [] }, facts), true);
    assert.equal(tellsNews({ ...facts, hasUdp: false }, facts), true);
  });
});
