/** Tells the bus, and so every live view, that another document is in force or that a newer one could not be. */
import type { Clock } from '../base/clock.ts';
import type { EventBus } from '../events/index.ts';
import type { Documents } from '../gateway/documents/index.ts';
import type { PosternEvents } from '../gateway/index.ts';

/** Publishes as long as the documents live. */
export function publishDocumentEvents(
  tailnet: string,
  documents: Pick<Documents, 'onChange' | 'onFault'>,
  events: Pick<EventBus<PosternEvents>, 'publish'>,
  clock: Clock,
): void {
  documents.onChange(({ version }) => {
    events.publish('config.changed', { tailnet, version, at: clock.now() });
  });
  documents.onFault(({ message, at }) => events.publish('config.failed', { tailnet, message, at }));
}
