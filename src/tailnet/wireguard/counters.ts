/** What passed and why the rest did not. Only ever rise. */
export interface WireguardCounters {
  initiationsSent: number;
  initiationsReceived: number;
  responsesSent: number;
  responsesReceived: number;
  cookieRepliesSent: number;
  cookieRepliesReceived: number;
  /** Data packets, keepalives included. */
  dataSent: number;
  dataReceived: number;
  keepalivesSent: number;
  keepalivesReceived: number;
  readonly dropped: Record<WireguardDrop, number>;
}

/** Why something was dropped, silently. The first group came from the network, the second from us. */
export type WireguardDrop =
  /** Not a WireGuard message, or of a wrong length. */
  | 'malformed'
  /** The sender does not know our public key. */
  | 'mac1'
  /** Under load, and the sender showed no cookie; a cookie reply went out if the limit let it. */
  | 'no_cookie'
  /** Under load, and this source has had its share. */
  | 'source_rate'
  /** Nobody has this public key here, or the message is forged. */
  | 'unknown_peer'
  /** An initiation no newer than the last, or right after it. */
  | 'old_initiation'
  /** A response that is not to our handshake, or forged. */
  | 'bad_response'
  /** A cookie that does not answer what we sent. */
  | 'bad_cookie'
  /** No session or handshake has this index. */
  | 'unknown_index'
  /** The session is over. */
  | 'expired_session'
  /** A counter that was seen, is too old, or is above the limit. */
  | 'replayed'
  /** Data that is not genuine. */
  | 'bad_data'
  /** The inner packet is no IP packet, or longer than what came. */
  | 'bad_inner_packet'
  /** The inner source address does not belong to the peer. */
  | 'forged_source'
  /** No peer has the inner destination address. */
  | 'no_peer'
  /** The inner packet to send is no IP packet. */
  | 'bad_outgoing_packet'
  /** Too much is waiting for handshakes. */
  | 'staged_overflow'
  /** The handshake that it waited for did not come about. */
  | 'unreachable'
  /** The peer was removed while it waited. */
  | 'peer_removed';

export function createWireguardCounters(): WireguardCounters {
  return {
    initiationsSent: 0,
    initiationsReceived: 0,
    responsesSent: 0,
    responsesReceived: 0,
    cookieRepliesSent: 0,
    cookieRepliesReceived: 0,
    dataSent: 0,
    dataReceived: 0,
    keepalivesSent: 0,
    keepalivesReceived: 0,
    dropped: {
      malformed: 0,
      mac1: 0,
      no_cookie: 0,
      source_rate: 0,
      unknown_peer: 0,
      old_initiation: 0,
      bad_response: 0,
      bad_cookie: 0,
      unknown_index: 0,
      expired_session: 0,
      replayed: 0,
      bad_data: 0,
      bad_inner_packet: 0,
      forged_source: 0,
      no_peer: 0,
      bad_outgoing_packet: 0,
      staged_overflow: 0,
      unreachable: 0,
      peer_removed: 0,
    },
  };
}
