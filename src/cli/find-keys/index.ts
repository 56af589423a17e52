/** `postern find-keys`. */
export { setupFindKeys } from './find-keys.ts';
