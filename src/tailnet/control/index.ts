/** The coordination server: isolated tailnets that official clients join. */
export { ControlAdministration } from './administration.ts';
export type { DeviceChange, NewAuthKey, NewTailnet, NewUser, TailnetChange } from './administration.ts';
export { ControlServer } from './control-server.ts';
export type { ControlCounters, ControlServerOptions } from './control-server.ts';
export { Coordinator } from './coordinator.ts';
export type { CoordinatorOptions, DeviceEnd } from './coordinator.ts';
export type { CoordinationErrorCode } from './errors.ts';
export { fingerprintOf } from './fingerprint.ts';
export type { PendingLogin } from './pending-logins.ts';
export type {
  ControlStore,
  NetworkPolicyCompiler,
  NetworkRules,
  PolicyNode,
  PolicyUser,
  PolicyWorld,
  RelayMap,
  StoredRecord,
  StoredRecordName,
} from './ports.ts';
export type {
  AuthKeyRecord,
  DnsSettings,
  NodeRecord,
  TailnetKind,
  TailnetRecord,
  TailnetRole,
  UserRecord,
} from './records.ts';
export type { Tailnet } from './tailnet.ts';
