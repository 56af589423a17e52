/**
 * What a request asks a cloud to read (`gs://`, `s3://`, data stores) is read with the rights of the key or
 * account that Postern adds: only what the provider's `allow_stored_inputs` says may be named (DESIGN
 * section 12: a caller does not choose an address that nobody allowed).
 */
import type { BodyFacts } from '../../llm/index.ts';
import { findStoredInputs, mayNameStoredInputs, type StoredInputs } from '../../llm/stored-inputs/index.ts';
import { mayReadStoredInput, type Provider } from '../../policy/index.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from '../steps/read-request.ts';

/** Kinds of provider that follow such addresses. The others know none, or fetch them with no rights of ours. */
const READS_STORAGE: ReadonlySet<string> = new Set(['gemini', 'vertex', 'bedrock']);

const NONE: StoredInputs = { addresses: [], incomplete: false };

/** Forms hold none: the kinds above take JSON only. */
export function storedInputsOf(body: Buffer, facts: BodyFacts | null): StoredInputs {
  if (facts === null || facts.kind !== 'json' || !mayNameStoredInputs(body)) return NONE;
  return findStoredInputs(body, facts.value());
}

/** Throws `stored_input_refused`. */
export function checkStoredInputs(
  { provider }: { readonly provider: Pick<Provider, 'id' | 'kind' | 'storedInputs'> },
  request: Pick<LlmRequest, 'body' | 'facts' | 'storedInputs'>,
): void {
  if (!READS_STORAGE.has(provider.kind) || provider.storedInputs === 'any') return;
  const { addresses, incomplete } = request.storedInputs ?? storedInputsOf(request.body, request.facts);
  if (incomplete) {
    throw new Refused(
      'stored_input_refused',
      'the body names addresses in object storage and cannot be checked: it repeats a member, or has too many parts',
    );
  }
  const refused = addresses.find((address) => !mayReadStoredInput(provider.storedInputs, address));
  if (refused === undefined) return;
  throw new Refused(
    'stored_input_refused',
    `the provider "${provider.id}" may not be asked to read ${JSON.stringify(refused.slice(0, 200))}`,
  );
}
