/** The console's addresses (console/src/app/routes.tsx has the same): a closed list, whose pages only show. */

/** With `{name}` where the console reads the address itself. */
export const CONSOLE_PATHS = [
  '/',
  '/live',
  '/requests',
  '/requests/{id}',
  '/sessions',
  '/sessions/{id}',
  '/usage',
  '/approvals',
  '/approvals/{id}',
  '/policy',
  '/providers',
  '/audit',
  '/playground',
  '/settings',
  '/settings/{part}',
  '/settings/{part}/{id}',
  '/devices',
  '/devices/{id}',
  '/network',
] as const;

/** Pages that are no part of the console: links of terminals lead to them. */
export const PLAIN_PATHS = ['/claim', '/presence'] as const;

const EXACT: ReadonlySet<string> = new Set(
  [...CONSOLE_PATHS, ...PLAIN_PATHS].filter((path) => !path.includes('{')),
);
/** First segments below which the console reads on, and how many segments there are at most. */
const BELOW: ReadonlyMap<string, number> = new Map(
  CONSOLE_PATHS.filter((path) => path.includes('{')).map((path) => [
    path.split('/')[1] ?? '',
    path.split('/').length,
  ]),
);

/** Whether a path (without query) is a page that a link of anywhere may open. */
export function isPagePath(path: string): boolean {
  if (EXACT.has(path)) return true;
  const segments = path.split('/');
  const most = BELOW.get(segments[1] ?? '');
  return most !== undefined && segments.length > 2 && segments.length <= most && !segments.includes('', 1);
}
