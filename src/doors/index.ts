/** Who is calling: the doors, Postern's tokens, JWTs, and the identifier that asks them. */
export type {
  ConnectionFacts,
  ConnectionSocket,
  Door,
  DoorAnswer,
  DoorRefusalCode,
  ListenerKind,
  Revocation,
} from './door.ts';
export { createIdentifier } from './identifier.ts';
export type { Identifier, IdentifierOptions, IdentifyResult } from './identifier.ts';
export { createJwtDenials } from './jwt-denials.ts';
export type {
  DeniedJwt,
  JwtDenial,
  JwtDenialErrorCode,
  JwtDenials,
  JwtDenialsOptions,
  JwtFacts,
} from './jwt-denials.ts';
export { createJwtVerifier } from './jwt.ts';
export type { JwtIssuer, JwtVerdict, JwtVerifier, JwtVerifierOptions } from './jwt.ts';
export { createLocalDoor } from './local.ts';
export type { LocalDoorOptions } from './local.ts';
export { createLocalUsers } from './local-users.ts';
export type { LocalUser, LocalUsers, LocalUsersOptions } from './local-users.ts';
export { createNodeDoor } from './node.ts';
export type { NodeDoor, NodeDoorPeer, NodePeers } from './node.ts';
export { createJoinedNodeDoor } from './node-joined.ts';
export type { JoinedNodeDoor, JoinedPeer, JoinedPeers } from './node-joined.ts';
export type { FetchJson, SettingStore, TokenStore } from './ports.ts';
export { TOKEN_PREFIX } from './presented.ts';
export { createServeDoor } from './serve.ts';
export type { ServeDoorOptions } from './serve.ts';
export { restoreServeHost } from './serve-host.ts';
export { createSocketOwners } from './socket-owners.ts';
export type { SocketOwners, SocketOwnersOptions } from './socket-owners.ts';
export { createTailscaledDoor } from './tailscaled/door.ts';
export type { TailscaledDoor, TailscaledDoorOptions } from './tailscaled/door.ts';
export { createLocalApi } from './tailscaled/local-api.ts';
export type { LocalApi, LocalApiErrorCode, LocalApiOptions } from './tailscaled/local-api.ts';
export { readSelf } from './tailscaled/status.ts';
export type { SelfNode } from './tailscaled/status.ts';
export { createTokens } from './tokens.ts';
export type {
  MintOptions,
  TokenErrorCode,
  Tokens,
  TokensOptions,
  TokenVerdict,
  TokenVerifier,
} from './tokens.ts';
