/** What a page must not do to those who look at it: be wider than its window, or break a rule that axe knows. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Pixels by which the page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** What axe finds, with where it is: with `impacts` only what it calls so. */
export async function findings(page: Page, impacts: readonly string[] | null = null): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async (wanted) => {
    const axe: {
      run: () => Promise<{
        violations: { id: string; impact: string; nodes: { html: string; any: { message: string }[] }[] }[];
      }>;
    } = Reflect.get(window, 'axe');
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => wanted === null || wanted.includes(impact))
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes.map(({ html, any }) => `${html.slice(0, 200)} (${any[0]?.message ?? ''})`).join(' | ')}`,
      );
  }, impacts);
}
