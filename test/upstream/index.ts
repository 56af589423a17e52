export { startFakeUpstream } from './server.ts';
export type { FakeUpstream, FakeUpstreamOptions, Mount } from './server.ts';
export { BEHAVIOURS, modelThat } from './behaviours.ts';
export type { Behaviour, BehaviourName } from './behaviours.ts';
export { ANSWER_TEXT, PIECES, USAGE } from './answer.ts';
export type { FakeUsage } from './answer.ts';
export { DEFAULT_CREDENTIALS, headerOf } from './received.ts';
export type { ExpectedCredential, ReceivedRequest, UpstreamDialect } from './received.ts';
export { MODEL_IDS } from './simple-routes.ts';
