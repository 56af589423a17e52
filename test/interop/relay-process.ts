/**
 * Our relay with TLS and our STUN server, as a program for a machine of the bed: the job is JSON in the
 * first argument; it prints `ready`. `GET /counters` is for the tests.
 */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { CertificatePair } from '../../src/crypto/index.ts';
import { createRelay, StunServer } from '../../src/tailnet/derp/server/index.ts';

export interface RelayJob {
  readonly host: string;
  readonly port: number;
  readonly stunPort: number;
  readonly certificate: CertificatePair;
  /** A JSON file of node keys (hex) with their tailnets; it is read anew at every question. */
  readonly members: string;
}

const job: RelayJob = JSON.parse(process.argv[2] ?? '{}');
const relay = createRelay({
  admission: {
    admit(nodeKey) {
      const members: Record<string, string[]> = JSON.parse(readFileSync(job.members, 'utf8'));
      const tailnets = members[nodeKey];
      return tailnets === undefined ? null : { tailnets };
    },
  },
  clock: systemClock,
  random: systemRandom,
});
const stun = await StunServer.open({ clock: systemClock, port: job.stunPort });
const server = https.createServer(job.certificate, (request, response) => {
  if (relay.handleRequest(request, response)) return;
  response.end(JSON.stringify({ relay: relay.counters(), stun: stun.counters }));
});
server.on('upgrade', (request, socket, head) => {
  if (!relay.handleUpgrade(request, socket, head)) socket.destroy();
});
server.listen(job.port, job.host, () => console.log('ready'));
