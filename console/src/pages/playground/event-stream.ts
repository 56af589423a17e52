/** Server-Sent Events out of a body that comes in pieces (WHATWG HTML, section 9.2.6); only `data` is read. */

/** Characters of one event; a longer one is dropped, so that no server can fill the memory. */
const EVENT_MAX = 4_000_000;

/** Takes text as it arrives and gives the data of every event that ended with it. */
export class EventReader {
  #rest = '';

  /** Data of the events that are whole now. */
  push(text: string): readonly string[] {
    this.#rest += text;
    const found: string[] = [];
    let start = 0;
    for (;;) {
      const blank = /\r\n\r\n|\n\n|\r\r/g;
      blank.lastIndex = start;
      const end = blank.exec(this.#rest);
      if (end === null) break;
      const data = dataOf(this.#rest.slice(start, end.index));
      if (data !== '') found.push(data);
      start = end.index + end[0].length;
    }
    this.#rest = this.#rest.slice(start);
    if (this.#rest.length > EVENT_MAX) this.#rest = '';
    return found;
  }
}

function dataOf(event: string): string {
  return event
    .split(/\r\n|\n|\r/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(line.charAt(5) === ' ' ? 6 : 5))
    .join('\n');
}
