/** Two ways to one answer: what explain says of the rules, and what the filters that devices get let in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import type { CompiledNetwork } from './compiled-network.ts';
import { explainReach } from './explain-reach.ts';
import { coversWhole, parseIpRange } from './ip-ranges.ts';
import { DEVICES, network } from './test-network.ts';

const SOURCES = [
  '*',
  'bob@example.com',
  'user:*@example.com',
  'group:eng',
  'group:oncall',
  'tag:server',
  'autogroup:member',
  'autogroup:tagged',
  'autogroup:admin',
  '100.64.0.3',
  '100.64.0.1-100.64.0.4',
  'office',
];
const DESTINATIONS = [...SOURCES, 'autogroup:internet'];

const acls = fc.array(
  fc.record({
    action: fc.constant('accept'),
    src: fc.uniqueArray(fc.constantFrom(...SOURCES), { maxLength: 2 }),
    dst: fc.uniqueArray(
      fc
        .tuple(fc.constantFrom(...DESTINATIONS), fc.constantFrom('*', '22', '80-443', '22,8080'))
        .map(([host, ports]) => `${host}:${ports}`),
      { maxLength: 2 },
    ),
    proto: fc.constantFrom('', 'tcp', 'udp'),
  }),
  { maxLength: 3 },
);
const self = fc.constantFrom(
  [],
  [{ src: ['autogroup:member'], dst: ['autogroup:self'], ip: ['tcp:22'] }],
  [{ src: ['bob@example.com', 'group:eng'], dst: ['autogroup:self', 'tag:db'], ip: ['*'] }],
);

/** As a device judges a TCP connection that comes in. */
function letsIn(compiled: CompiledNetwork, nodeId: number, from: string, port: number): boolean {
  const holds = (text: string, address: string): boolean => {
    if (text === '*') return true;
    const [range, host] = [parseIpRange(text), parseIpRange(address)];
    return range !== null && host !== null && coversWhole([range], host);
  };
  return compiled
    .filterOf(nodeId)
    .some(
      ({ SrcIPs, DstPorts = [], IPProto = [6] }) =>
        IPProto.includes(6) &&
        SrcIPs.some((text) => holds(text, from)) &&
        DstPorts.some(
          ({ IP, Ports }) => holds(IP, `100.64.0.${nodeId}`) && port >= Ports.First && port <= Ports.Last,
        ),
    );
}

test('what the rules allow is what the filter of the destination lets in, and only peers may talk', () => {
  let allowedPairs = 0;
  fc.assert(
    fc.property(acls, self, fc.constantFrom(22, 80, 8080, 9), (rules, grants, port) => {
      const compiled = network({ acls: rules, grants });
      for (const { id: source } of DEVICES) {
        for (const { id: destination } of DEVICES) {
          if (source === destination) continue;
          const question = {
            source: String(source),
            destination: String(destination),
            port,
            protocol: 'tcp',
          };
          const { allowed } = explainReach(compiled, question);
          assert.equal(
            letsIn(compiled, destination, `100.64.0.${source}`, port),
            allowed,
            JSON.stringify(question),
          );
          assert.equal(
            compiled.peersOf(source).has(destination),
            compiled.peersOf(destination).has(source),
            'they see each other or not at all',
          );
          if (!allowed) continue;
          allowedPairs += 1;
          assert.ok(compiled.peersOf(source).has(destination), 'who may connect knows the other');
        }
      }
    }),
    { numRuns: 100 },
  );
  assert.ok(allowedPairs > 0, 'no pair was allowed, so the property says nothing');
});
