import { REDACTED, Secret } from '../base/secret.ts';
import { type Cursor, quoteShort } from './cursor.ts';
import type { SecretSource } from './document.ts';
import type { ParseOptions } from './parse-options.ts';

/** Where a saved document has had its key taken out. */
export const VAULT_PREFIX = 'vault:';

/** What a text in a secret's place says, without judging it. */
export function classifySecret(text: string): SecretSource | 'empty' | 'redacted' {
  if (text.trim() === '') return 'empty';
  if (text === REDACTED || /^[*•.…]+$/.test(text)) return 'redacted';
  if (text.startsWith(VAULT_PREFIX)) return { kind: 'vault' };
  if (text.startsWith('env:')) return { kind: 'env', name: text.slice('env:'.length) };
  if (text.startsWith('file:')) return { kind: 'file', path: text.slice('file:'.length) };
  return { kind: 'literal', secret: new Secret(text) };
}

/** Reads a key: a literal, `env:NAME`, `file:PATH`, or the mark that the vault holds it. */
export function readSecret(cursor: Cursor, source: ParseOptions['source']): SecretSource | null {
  const text = cursor.string();
  if (text === null) return null;
  const found = classifySecret(text);
  if (found === 'empty') return null;
  if (found === 'redacted') {
    cursor.fail(
      'secret_redacted',
      `${cursor.name} is a redaction, not a key`,
      'enter the key, or "vault:" to keep the one in the vault',
    );
    return null;
  }
  if (found.kind === 'env' || found.kind === 'file') {
    if (source === 'api') {
      cursor.fail(
        'secret_reference_refused',
        `${cursor.name} refers to the operator's ${found.kind === 'env' ? 'environment' : 'files'}; only the operator's own file (--config) may`,
        'enter the key itself (it is moved into the vault), or add it with `postern keys add`',
      );
      return null;
    }
    if (found.kind === 'env' && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(found.name)) {
      cursor.fail(
        'bad_value',
        `${cursor.name} names no environment variable: ${quoteShort(found.name)}`,
        'write env:NAME',
      );
      return null;
    }
  }
  if (found.kind === 'literal') {
    if (source === 'api') {
      cursor.note(
        'secret_in_document',
        `${cursor.name} is a literal key; it is moved into the vault`,
        'nothing to do',
      );
    } else {
      cursor.warn(
        'secret_in_document',
        `${cursor.name} is a literal key in a file`,
        'write env:NAME or file:PATH, or run `postern config lift-secrets`',
      );
    }
  }
  return found;
}
