export type * from './documents.ts';
export type * from './ports.ts';
export { DocumentError, type DocumentErrorCode } from './errors.ts';
export { openDocuments, type OpenDocumentsOptions } from './open-documents.ts';
