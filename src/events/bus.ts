/**
 * In-process events: who publishes does not know who listens. Delivery is synchronous and must be
 * cheap; a listener that throws is dropped from that delivery and reported.
 */

type AnyListener<Events> = (name: keyof Events & string, event: Events[keyof Events]) => void;

export interface EventBus<Events extends Record<string, unknown>> {
  publish<Name extends keyof Events & string>(name: Name, event: Events[Name]): void;
  /** Listens to every event. Returns the function that ends the subscription. */
  subscribe(listener: AnyListener<Events>): () => void;
  /** Listens to the events of one name. Returns the function that ends the subscription. */
  on<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void): () => void;
  /** Whether anybody listens to events of this name, so that a publisher can skip building one. */
  hasListenersFor(name: keyof Events & string): boolean;
}

/** `onListenerError` gets what a listener threw; it must not throw itself. */
export function createEventBus<Events extends Record<string, unknown>>(
  onListenerError: (error: unknown) => void,
): EventBus<Events> {
  const everything = new Set<AnyListener<Events>>();
  const byName = new Map<keyof Events & string, Set<AnyListener<Events>>>();

  const deliver = <Name extends keyof Events & string>(
    listeners: ReadonlySet<AnyListener<Events>>,
    name: Name,
    event: Events[Name],
  ): void => {
    for (const listener of listeners) {
      try {
        listener(name, event);
      } catch (error) {
        onListenerError(error);
      }
    }
  };

  return {
    publish(name, event) {
      const named = byName.get(name);
      if (named !== undefined) deliver(named, name, event);
      if (everything.size > 0) deliver(everything, name, event);
    },
    subscribe(listener) {
      everything.add(listener);
      return () => everything.delete(listener);
    },
    on<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void) {
      const named = byName.get(name) ?? new Set();
      byName.set(name, named);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `publish` ties the event to its name, and this set is of one name
      const own: AnyListener<Events> = (_name, event) => listener(event as Events[Name]);
      named.add(own);
      return () => {
        named.delete(own);
        if (named.size === 0 && byName.get(name) === named) byName.delete(name);
      };
    },
    hasListenersFor: (name) => everything.size > 0 || byName.has(name),
  };
}
