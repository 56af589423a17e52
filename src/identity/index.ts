export * from './caller.ts';
export * from './headers.ts';
export * from './principal.ts';
