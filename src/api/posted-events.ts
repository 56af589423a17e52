/** Reads events of the bus, whose listeners get name and event as two unrelated unions. */
import type { PosternEvents } from '../gateway/events.ts';

export type EventName = keyof PosternEvents;

/** An event with its name, so that one tells the type of the other. */
export type PostedEvent = {
  readonly [Name in EventName]: { readonly name: Name; readonly event: PosternEvents[Name] };
}[EventName];

export function postedEvent(name: EventName, event: PosternEvents[EventName]): PostedEvent {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `publish` ties the event to its name
  return { name, event } as PostedEvent;
}
