/** How long a page takes, by the page's own clock. */
import type { Browser, Page } from 'playwright-core';

/** Milliseconds from the start of a full navigation until such an element has this text and a frame has shown it. */
export async function timeToSee(page: Page, url: string, selector: string, text = ''): Promise<number> {
  await page.goto(url, { waitUntil: 'commit' });
  return page.evaluate(
    async ([where = '', wanted = '']) => {
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      while (document.querySelector(where)?.textContent.includes(wanted) !== true) {
        if (performance.now() > 15_000) return Infinity;
        await frame();
      }
      await frame();
      return performance.now();
    },
    [selector, text],
  );
}

export interface Scrolling {
  /** Milliseconds that the page's thread worked on its longest task; what other programs took meanwhile is not in it. */
  readonly longestTask: number;
  /** Share of frames that came later than 50 ms after the one before. */
  readonly lateFrames: number;
  /** Most turns that stood in the document at once. */
  readonly drawn: number;
  readonly frames: number;
}

/** Scrolls through the whole list, or the page, one step a frame. */
export async function scrollThrough(browser: Browser, page: Page): Promise<Scrolling> {
  await browser.startTracing(page, { categories: ['toplevel'] });
  let scrolled: Omit<Scrolling, 'longestTask'>;
  let trace: Buffer;
  try {
    scrolled = await scrollByFrames(page);
  } finally {
    trace = await browser.stopTracing();
  }
  return { ...scrolled, longestTask: longestTaskOf(trace) };
}

function scrollByFrames(page: Page): Promise<Omit<Scrolling, 'longestTask'>> {
  return page.evaluate(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    let [frames, late, drawn] = [0, 0, 0];
    let before = performance.now();
    const scroller = document.querySelector('.virtual-list') ?? document.documentElement;
    const isAtEnd = () => scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 2;
    while (!isAtEnd() && frames < 5_000) {
      scroller.scrollBy({ top: 400, behavior: 'instant' });
      await frame();
      const now = performance.now();
      frames += 1;
      if (now - before > 50) late += 1;
      before = now;
      drawn = Math.max(drawn, document.querySelectorAll('article').length);
    }
    return { lateFrames: late / frames, drawn, frames };
  });
}

/** By the clock of the thread itself (`tdur`, microseconds), in the threads that pages run in. */
function longestTaskOf(trace: Buffer): number {
  const { traceEvents } = JSON.parse(trace.toString('utf8')) as {
    traceEvents: { name: string; pid: number; tid: number; tdur?: number; args: { name?: string } }[];
  };
  const pages = new Set<string>();
  for (const { name, pid, tid, args } of traceEvents)
    if (name === 'thread_name' && args.name === 'CrRendererMain') pages.add(`${pid}/${tid}`);
  const tasks = traceEvents.filter(
    ({ name, pid, tid, tdur }) =>
      name === 'ThreadControllerImpl::RunTask' && tdur !== undefined && pages.has(`${pid}/${tid}`),
  );
  if (tasks.length === 0) throw new Error('the trace has no task of a page');
  return tasks.reduce((longest, { tdur = 0 }) => Math.max(longest, tdur / 1_000), 0);
}
