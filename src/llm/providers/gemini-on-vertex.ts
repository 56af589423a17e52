/**
 * Fields of the Gemini API that Vertex refuses as unknown. The list is that of Google's own SDK
 * (`@google/genai` 3: what it says is "only supported in Gemini Developer API mode"), as far as
 * leaving the field out keeps the meaning of the request: a tool or a part that Vertex does not
 * have is left in, so that its refusal tells the caller.
 */
import { scanJsonArray, scanJsonDocument, scanJsonObject } from '../../wire/json-scan.ts';
import type { JsonMember } from '../../wire/json-scan.ts';

/** Members by the kind of object that they are in. */
const REQUEST_FIELDS: ReadonlySet<string> = new Set(['store']);
const GENERATION_FIELDS: ReadonlySet<string> = new Set(['enableEnhancedCivicAnswers']);
const TOOL_CONFIG_FIELDS: ReadonlySet<string> = new Set(['includeServerSideToolInvocations']);
const PART_FIELDS: ReadonlySet<string> = new Set(['partMetadata']);

/** Every name above, to leave most bodies alone without a scan. */
const ANY_FIELD = [...REQUEST_FIELDS, ...GENERATION_FIELDS, ...TOOL_CONFIG_FIELDS, ...PART_FIELDS].map(
  (name) => Buffer.from(`"${name}"`),
);

interface Cut {
  readonly start: number;
  readonly end: number;
}

/** The body without those members; all other bytes as they were. What is not a JSON object is given back. */
export function stripForVertex(body: Buffer): Buffer {
  if (!ANY_FIELD.some((name) => body.includes(name))) return body;
  const cuts: Cut[] = [];
  try {
    collectRequest(body, cuts);
  } catch {
    // Not the expected shape: the provider's own message about it is the better one.
    return body;
  }
  if (cuts.length === 0) return body;
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { start, end } of cuts.toSorted((a, b) => a.start - b.start)) {
    pieces.push(body.subarray(at, start));
    at = end;
  }
  pieces.push(body.subarray(at));
  return Buffer.concat(pieces);
}

function collectRequest(body: Buffer, cuts: Cut[]): void {
  const members = scanJsonDocument(body);
  cutMembers(members, REQUEST_FIELDS, cuts);
  for (const member of members) {
    if (member.key === 'generationConfig') cutObject(body, member.valueStart, GENERATION_FIELDS, cuts);
    if (member.key === 'toolConfig') cutObject(body, member.valueStart, TOOL_CONFIG_FIELDS, cuts);
    if (member.key === 'systemInstruction') cutParts(body, member.valueStart, cuts);
    if (member.key === 'contents') {
      for (const content of scanJsonArray(body, member.valueStart)) cutParts(body, content.start, cuts);
    }
  }
}

function cutParts(body: Buffer, contentStart: number, cuts: Cut[]): void {
  const parts = scanJsonObject(body, contentStart).find((member) => member.key === 'parts');
  if (parts === undefined) return;
  for (const part of scanJsonArray(body, parts.valueStart)) cutObject(body, part.start, PART_FIELDS, cuts);
}

function cutObject(body: Buffer, start: number, fields: ReadonlySet<string>, cuts: Cut[]): void {
  cutMembers(scanJsonObject(body, start), fields, cuts);
}

/** Cuts members with one comma each: the one after, or before where the last members go. */
function cutMembers(members: readonly JsonMember[], fields: ReadonlySet<string>, cuts: Cut[]): void {
  let kept: JsonMember | undefined;
  members.forEach((member, index) => {
    if (!fields.has(member.key)) {
      kept = member;
      return;
    }
    const next = members[index + 1];
    const restGoes = members.slice(index + 1).every((later) => fields.has(later.key));
    if (!restGoes && next !== undefined) cuts.push({ start: member.memberStart, end: next.memberStart });
    else if (kept !== undefined && members[index - 1] === kept) {
      cuts.push({ start: kept.valueEnd, end: members.at(-1)?.valueEnd ?? member.valueEnd });
    } else if (kept === undefined && index === 0) {
      cuts.push({ start: member.memberStart, end: members.at(-1)?.valueEnd ?? member.valueEnd });
    }
  });
}
