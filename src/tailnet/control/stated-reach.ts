/** A device's own word on how it is reached, taken into its record. */
import type { MapQuestion } from './read-requests.ts';
import { sameTexts } from './map-wire.ts';
import type { DeviceReach, NodeRecord } from './records.ts';
import { withHost } from './registration.ts';
import type { Tailnet } from './tailnet.ts';

/** The device with what a lite update states; the same record if nothing is different. What is not stated stays. */
export function statedReach(tailnet: Tailnet, node: NodeRecord, question: MapQuestion): NodeRecord {
  const stated = withHost(tailnet, node, question.host, question.version);
  const before = node.reach;
  const reach: DeviceReach = {
    discoKey: question.discoKey ?? before.discoKey,
    homeDerp: question.host?.homeDerp ?? before.homeDerp,
    endpoints:
      question.endpoints === null || sameTexts(question.endpoints, before.endpoints)
        ? before.endpoints
        : question.endpoints,
  };
  const isSame =
    reach.discoKey === before.discoKey &&
    reach.homeDerp === before.homeDerp &&
    reach.endpoints === before.endpoints;
  return isSame ? stated : { ...stated, reach };
}
