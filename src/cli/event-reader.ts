/**
 * Server-sent events as text arrives (HTML standard, "Server-sent events", section 9.2.6), as far
 * as the live view needs them: event names and data. Ids and retry times are left out.
 */

export interface ServerEvent {
  /** `message` where the server names none. */
  readonly name: string;
  readonly data: string;
}

/** Characters of one event; a longer one is dropped whole, so that a stranger cannot fill the memory. */
const EVENT_MAX_CHARS = 4 * 1024 * 1024;

export interface EventReader {
  push(text: string): void;
}

/** `onEvent` is called once an event is complete. */
export function createEventReader(onEvent: (event: ServerEvent) => void): EventReader {
  let pending = '';
  let dropping = false;
  let name = '';
  let data: string[] = [];
  let chars = 0;
  const takeLine = (line: string): void => {
    if (line === '') {
      if (data.length > 0 && chars <= EVENT_MAX_CHARS)
        onEvent({ name: name === '' ? 'message' : name, data: data.join('\n') });
      name = '';
      data = [];
      chars = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    if (field !== 'data') return;
    chars += value.length + 1;
    if (chars <= EVENT_MAX_CHARS) data.push(value);
  };
  return {
    push(text) {
      pending += text;
      for (;;) {
        const end = pending.search(/\r\n|\n|\r(?!$)/);
        if (end === -1) break;
        const line = pending.slice(0, end);
        pending = pending.slice(end + (pending.startsWith('\r\n', end) ? 2 : 1));
        if (dropping) {
          dropping = false;
          // The rest of a line that was too long: its event is not whole.
          chars = EVENT_MAX_CHARS + 1;
          data = [''];
        } else {
          takeLine(line);
        }
      }
      if (pending.length > EVENT_MAX_CHARS) {
        pending = '';
        dropping = true;
      }
    },
  };
}
