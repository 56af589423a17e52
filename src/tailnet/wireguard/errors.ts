/** Closed set of failure codes of `src/tailnet/wireguard`. */
export type WireguardErrorCode =
  /** A peer's public key is of low order or our own. */
  | 'wireguard_peer_key'
  /** A device has its most peers. */
  | 'wireguard_too_many_peers'
  /** The UDP port cannot be bound. */
  | 'wireguard_bind';
