/** `postern demo`: a Postern with a week behind it, to look around in. */
export { startDemo } from './start-demo.ts';
export type { DemoOptions, RunningDemo } from './start-demo.ts';
