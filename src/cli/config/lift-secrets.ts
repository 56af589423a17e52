/** `postern config lift-secrets`: a document without its keys, on standard output. The file is never changed. */
import { printable, printJson, printNote } from '../output.ts';
import { type CommonFlags, connect, type Session } from '../session.ts';
import { readDocumentFile } from './read-document.ts';

export async function liftDocumentSecrets(
  session: Session,
  file: string,
  flags: CommonFlags & { readonly store?: boolean },
): Promise<void> {
  const text = await readDocumentFile(session.context, file);
  const { liftSecrets } = await import('../../policy/index.ts');
  const { text: clean, lifted } = liftSecrets(text);
  if (flags.store === true) {
    const { api } = connect(session, flags);
    // Keys of hooks, connectors and exporters are lifted when the document itself is saved.
    for (const one of lifted.filter(({ kind }) => kind === 'provider')) {
      await api.post('/api/v1/keys', {
        provider: one.provider,
        name: 'from the document',
        secret: one.secret.reveal(),
        state: 'active',
      });
    }
  }
  if (flags.json === true) {
    const keys = lifted.map((one) => ({
      provider: one.provider,
      origin: one.origin,
      header: one.header,
      hint: one.secret.hint(),
    }));
    return printJson(session.context, { text: clean, keys, stored: flags.store === true });
  }
  session.context.stdout.write(clean.endsWith('\n') ? clean : `${clean}\n`);
  for (const one of lifted) {
    const isProvider = one.kind === 'provider';
    const next = isProvider
      ? `postern keys add ${printable(one.provider)}`
      : 'it is lifted again when the document is saved as it was';
    const stored = flags.store === true && isProvider;
    printNote(
      session.context,
      `the key of ${printable(one.provider)} (${one.secret.hint()}) ${stored ? 'is in the vault' : `is not stored: ${next}`}`,
    );
  }
}
