/** What the relay has done since it was made; every number only grows, but for the gauges. */

export interface RelayCounters {
  /** Gauge: connections that have logged in. */
  clients: number;
  /** Gauge: keys with at least one. */
  keys: number;
  /** Gauge: clients that call this relay their home. */
  homes: number;
  /** Gauge: connections that have not logged in. */
  loggingIn: number;
  /** Gauge: bytes that wait for clients. */
  queuedBytes: number;
  /** Connections that began as WebSocket. */
  websockets: number;
  logins: number;
  /** Keys that are no device here. */
  refusedStrangers: number;
  /** Connections over a limit of their number. */
  refusedFull: number;
  /** Connections that did not log in in time, or not by the protocol. */
  failedLogins: number;
  packets: number;
  /** Of whole frames. */
  bytes: number;
  /** For a key that is not connected. */
  droppedNotHere: number;
  /** For a key that shares no tailnet with the sender. */
  droppedForeign: number;
  /** The oldest of a client that reads too slowly. */
  droppedQueueFull: number;
  /** Ended: revoked, or no longer admitted. */
  cutRevoked: number;
  /** Ended: a frame that is not the protocol. */
  cutProtocol: number;
  /** Ended: took or said nothing for too long. */
  cutSilent: number;
  /** Ended: another connection of its key took its place. */
  cutReplaced: number;
  /** Times that reading from a client paused because of its rate. */
  ratePauses: number;
}

export function createRelayCounters(): RelayCounters {
  return {
    clients: 0,
    keys: 0,
    homes: 0,
    loggingIn: 0,
    queuedBytes: 0,
    websockets: 0,
    logins: 0,
    refusedStrangers: 0,
    refusedFull: 0,
    failedLogins: 0,
    packets: 0,
    bytes: 0,
    droppedNotHere: 0,
    droppedForeign: 0,
    droppedQueueFull: 0,
    cutRevoked: 0,
    cutProtocol: 0,
    cutSilent: 0,
    cutReplaced: 0,
    ratePauses: 0,
  };
}
