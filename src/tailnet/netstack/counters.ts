/** What a stack counts. Every packet that is dropped raises exactly one count of `DropCounters`. */

/** Packets dropped, by reason. */
export interface DropCounters {
  /** Headers that cannot be, or a wrong checksum. */
  malformed: number;
  /** Fragments are not put together. */
  fragment: number;
  /** The source is an own, multicast, broadcast, loopback or unspecified address. */
  badSource: number;
  /** Not for an own address. */
  notForUs: number;
  /** Neither TCP, UDP nor ICMP. */
  protocol: number;
  /** A UDP port that nobody has. */
  noUdpPort: number;
  /** A TCP segment for no connection and no listener. */
  noConnection: number;
  /** The table of connections is full, or memory is scarce. */
  connectionLimit: number;
  /** ICMP that is not understood, or is about nothing of ours. */
  icmpIgnored: number;
  /** An answer that the rate limit held back. */
  rateLimited: number;
}

export interface TcpCounters {
  /** Segments of a connection that RFC 9293, 7323 or 5961 says to drop. */
  unacceptable: number;
  /** PAWS, RFC 7323 section 5. */
  oldTimestamp: number;
  challengesSent: number;
  challengesHeldBack: number;
  /** Half-open connections that gave way to newer ones. */
  backlogEvicted: number;
  retransmitted: number;
  timeouts: number;
  fastRecoveries: number;
  /** Reductions taken back: nothing had been lost. */
  undone: number;
  tailProbes: number;
  windowProbes: number;
  /** Bytes beyond a gap dropped for want of room. */
  heldDropped: number;
  resetsSent: number;
}

export interface NetStackCounters {
  packetsIn: number;
  packetsOut: number;
  readonly drops: DropCounters;
  readonly tcp: TcpCounters;
}

export function createCounters(): NetStackCounters {
  return {
    packetsIn: 0,
    packetsOut: 0,
    drops: {
      malformed: 0,
      fragment: 0,
      badSource: 0,
      notForUs: 0,
      protocol: 0,
      noUdpPort: 0,
      noConnection: 0,
      connectionLimit: 0,
      icmpIgnored: 0,
      rateLimited: 0,
    },
    tcp: {
      unacceptable: 0,
      oldTimestamp: 0,
      challengesSent: 0,
      challengesHeldBack: 0,
      backlogEvicted: 0,
      retransmitted: 0,
      timeouts: 0,
      fastRecoveries: 0,
      undone: 0,
      tailProbes: 0,
      windowProbes: 0,
      heldDropped: 0,
      resetsSent: 0,
    },
  };
}
