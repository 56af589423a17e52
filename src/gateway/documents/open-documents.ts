/** Opens the documents of one tailnet: loads the text in force, compiles it, and keeps it current. */
import type { Clock } from '../../base/clock.ts';
import { describeError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Feature, FoundProviderView, Provider } from '../../policy/index.ts';
import type { Documents } from './documents.ts';
import { FileDocuments } from './file-documents.ts';
import { documentFiles } from './files.ts';
import type { DocumentFiles, DocumentStore, DocumentVault } from './ports.ts';
import { StoreDocuments } from './store-documents.ts';

export interface OpenDocumentsOptions {
  readonly store: DocumentStore;
  readonly tailnet: string;
  /** `file` is the operator's own: watched, never written, the only one that grants. */
  readonly source: { readonly kind: 'store' } | { readonly kind: 'file'; readonly path: string };
  /** Providers of the operator's environment and machine. */
  readonly found: readonly FoundProviderView[];
  readonly vault: DocumentVault;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For `env:NAME` in the operator's file. Default: nothing is there. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the real files. */
  readonly files?: DocumentFiles;
  /** Upstream ids that are known of a provider; expands its patterns in lists. */
  readonly knownModels?: (provider: Provider) => readonly string[];
  /** Parts of a document that this process enforces. Default: none of those that can be missing. */
  readonly built?: ReadonlySet<Feature>;
}

/**
 * Never fails because of a bad document: then nobody is granted anything by it, and `lastError()`
 * says what is wrong. Fails only where the store does.
 */
export async function openDocuments(options: OpenDocumentsOptions): Promise<Documents> {
  const { source } = options;
  const documents =
    source.kind === 'file'
      ? new FileDocuments({
          ...options,
          files: options.files ?? documentFiles,
          env: options.env ?? {},
          path: source.path,
        })
      : new StoreDocuments(options);
  await documents.open();
  const fault = documents.lastError();
  if (fault !== null)
    options.logger.error('the gateway document cannot be used; it grants nothing', {
      error: describeError(fault),
    });
  return documents;
}
