/** Hosting of the web console. */
export { isPagePath } from './addresses.ts';
export { addConsoleRoutes } from './routes.ts';
