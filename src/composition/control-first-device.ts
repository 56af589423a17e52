/** What the terminal says after the first start: how a second device joins. */
import { Secret } from '../base/secret.ts';
import type { NodeRecord } from '../tailnet/control/index.ts';
import type { Coordination } from './control.ts';
import { GATEWAY_TAG } from './control-home.ts';

/** An hour: the time that somebody walks over to the other device. */
const LIFE_MS = 3_600_000;

/** One line with a key for one device of the owner; null once a device has joined. */
export async function firstDeviceLine(
  { admin, loginServer }: Coordination,
  ownTailnet: string,
): Promise<Secret | null> {
  const tailnet = admin.tailnets().find(({ id }) => id === ownTailnet);
  const owner = tailnet?.users().find(({ role }) => role === 'owner');
  if (tailnet === undefined || owner === undefined || tailnet.nodes().some(isNotGateway)) return null;
  const { text } = await admin.createAuthKey(tailnet, {
    description: 'printed when the server started',
    userId: owner.id,
    tags: [],
    isReusable: false,
    isEphemeral: false,
    isPreauthorized: true,
    lifeMs: LIFE_MS,
    createdBy: 'operator',
  });
  return new Secret(`tailscale up --login-server ${loginServer()} --auth-key ${text.reveal()}`);
}

function isNotGateway({ tags }: NodeRecord): boolean {
  return !tags.includes(GATEWAY_TAG);
}
