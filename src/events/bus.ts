/**
 * In-process events: who publishes does not know who listens. Delivery is synchronous and must be
 * cheap; a listener that throws is dropped from that delivery and reported.
 */

export interface EventBus<Events extends Record<string, unknown>> {
  publish<Name extends keyof Events & string>(name: Name, event: Events[Name]): void;
  /** Returns the function that ends the subscription. */
  subscribe(listener: (name: keyof Events & string, event: Events[keyof Events]) => void): () => void;
  /** Whether anybody listens, so that a publisher can skip building an event. */
  readonly hasListeners: boolean;
}

export function createEventBus<Events extends Record<string, unknown>>(
  onListenerError: (error: unknown) => void,
): EventBus<Events> {
  const listeners = new Set<(name: keyof Events & string, event: Events[keyof Events]) => void>();
  return {
    publish(name, event) {
      for (const listener of listeners) {
        try {
          listener(name, event);
        } catch (error) {
          onListenerError(error);
        }
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get hasListeners() {
      return listeners.size > 0;
    },
  };
}
