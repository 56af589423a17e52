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
export { policyNode, policyUser } from './ports.ts';
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
  ApiClientRecord,
  AuthKeyRecord,
  DnsSettings,
  NodeRecord,
  SignInRule,
  TailnetKind,
  TailnetRecord,
  TailnetRole,
  UserRecord,
  WebhookRecord,
} from './records.ts';
export { SignInPages } from './sign-in-requests.ts';
export { SignIns } from './sign-in.ts';
export type { SignInPerson, SignInProvider } from './sign-in-ports.ts';
export { changeUser, removeUser, setSignInRules, userIn } from './users.ts';
export type { Tailnet } from './tailnet.ts';
export { WebhookDelivery } from './webhook-delivery.ts';
