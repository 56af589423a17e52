import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIpPort, parseIpPort } from '../../../wire/ip-port.ts';
import { gatherEndpoints } from './local-endpoints.ts';

const SEEN = parseIpPort('203.0.113.9:7000');

test('endpoints: as seen from outside first; no loopback, link-local, tailnet or closed family; each once', () => {
  assert.ok(SEEN !== null);
  const found = gatherEndpoints({
    interfaces: [
      { address: '127.0.0.1', internal: true },
      { address: '192.168.1.5', internal: false },
      { address: '192.168.1.5', internal: false },
      { address: 'fe80::1%eth0', internal: false },
      { address: '2600::5', internal: false },
      { address: '100.64.0.1', internal: false },
      { address: 'nonsense', internal: false },
    ],
    portIpv4: 41641,
    portIpv6: null,
    seenAs: [SEEN],
    configured: [],
    isTailnet: (address) => address.startsWith('100.64.'),
  });
  assert.deepEqual(
    found.map(({ address, source }) => `${formatIpPort(address)} ${source}`),
    ['203.0.113.9:7000 stun', '192.168.1.5:41641 local'],
  );
});
