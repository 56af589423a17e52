/** The provider objects that a request names: in its path, its JSON, its form. */
import { boundaryOf, readMultipartFields } from '../../llm/index.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import {
  REFERENCE_FIELDS,
  REFERENCE_MEMBERS,
  findObjectReferences,
  mayReferByKeys,
  referenceOfField,
  type ObjectReference,
} from './object-references.ts';
import { repeatsMember } from './repeated-members.ts';

/** Formats that take up kept items by their bare id. */
const KEEPS_ITEMS = new Set(['openai_responses', 'openai_objects']);

/** What the search needs of a request. */
export type ReferenceSource = Pick<LlmRequest, 'match' | 'facts' | 'body' | 'contentType' | 'references'>;

/** The object of the path first. Throws `body_invalid` for a form that cannot be read. */
export function referencesOf(request: ReferenceSource): readonly ObjectReference[] {
  if (request.references !== null) return request.references;
  const { match, facts, body, contentType } = request;
  const references: ObjectReference[] = [];
  if (match.objectId !== null && match.objectKind !== undefined)
    references.push({ kind: match.objectKind, id: match.objectId });
  if (facts === null) return references;
  if (facts.kind === 'multipart') return [...references, ...formReferences(body, contentType)];
  const keepsItems = KEEPS_ITEMS.has(match.format);
  if (mayReferByKeys(facts.watchedKeys, body, keepsItems)) {
    const value = facts.value();
    if (repeatsMember(body, value, REFERENCE_MEMBERS))
      throw new Refused('body_invalid', 'the body repeats a member that names an object: give it once');
    for (const reference of findObjectReferences(value, keepsItems)) references.push(reference);
  }
  return references;
}

function formReferences(body: Buffer, contentType: string | null): ObjectReference[] {
  const boundary = boundaryOf(contentType);
  if (boundary === null) return [];
  const fields = readMultipartFields(body, boundary, REFERENCE_FIELDS);
  if ('malformed' in fields) throw new Refused('body_invalid', `the form is malformed: ${fields.malformed}`);
  const references: ObjectReference[] = [];
  for (const [name, { start, end }] of fields.spans) {
    const reference = referenceOfField(name, body.toString('utf8', start, end));
    if (reference !== null) references.push(reference);
  }
  return references;
}
