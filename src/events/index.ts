/** In-process events. */
export { createEventBus } from './bus.ts';
export type { EventBus } from './bus.ts';
