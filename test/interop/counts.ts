/** A test reporter: one closing line, `N passed, N failed, N skipped`, over all files. */
import type { TestEvent } from 'node:test/reporters';

// oxlint-disable-next-line import/no-default-export -- the form in which node:test loads a reporter
export default async function* counts(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    /* There is a summary of each file besides. */
    if (event.type !== 'test:summary' || event.data.file !== undefined) continue;
    const { passed, skipped, cancelled, tests, todo } = event.data.counts;
    yield `\n${passed} passed, ${tests - passed - skipped - todo} failed, ${skipped + todo} skipped\n`;
    if (cancelled > 0) yield `${cancelled} of those that failed were cancelled\n`;
  }
}
