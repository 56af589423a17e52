/**
 * The input file of an OpenAI batch: one request a line, `{ custom_id, method, url, body }`
 * (OpenAI API reference, "Batch API"). What its lines ask for must be known when the batch is made.
 */
import {
  isBodyProblem,
  isSurfaceMiss,
  matchSurface,
  readRequestBody,
  type BodyFacts,
  type Format,
  type SurfaceMatch,
} from '../../llm/index.ts';
import { JsonScanError, scanJsonDocument, type JsonMember } from '../../wire/json-scan.ts';
import { Refused } from '../reasons.ts';
import { toolModels } from '../routing/further-models.ts';
import { BatchLineSums, type BatchLines } from './batch-lines.ts';
import {
  REFERENCE_MEMBERS,
  findObjectReferences,
  mayReferToObjects,
  type ObjectReference,
} from './object-references.ts';
import { repeatsMember } from './repeated-members.ts';

export interface BatchFile {
  /** Models that the lines name, each once. */
  readonly models: readonly string[];
  readonly references: readonly ObjectReference[];
  readonly lines: BatchLines;
}

/** OpenAI's own limit is 50,000 requests. */
const LINES_MAX = 100_000;
const MODELS_MAX = 64;
const REFERENCES_MAX = 10_000;
/** About 2 ms of reading; then others get their turn. */
const SLICE_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** How the bodies of lines are read: the checks of an ordinary request apply to each. */
const LINE_MATCH: SurfaceMatch = {
  format: 'openai_batches',
  dialect: 'openai',
  model: null,
  modelInBody: true,
  stream: false,
  action: '',
  objectId: null,
};

/** Rejects with `body_invalid`, naming the line, where a line could be read in two ways or not at all. */
export async function readBatchFile(content: Buffer): Promise<BatchFile> {
  const models = new Set<string>();
  const references: ObjectReference[] = [];
  const sums = new BatchLineSums();
  let sliceEnd = SLICE_BYTES;
  let number = 0;
  for (let at = 0; at < content.length;) {
    const found = content.indexOf(NEWLINE, at);
    const end = found < 0 ? content.length : found;
    const line = content.subarray(at, end);
    at = end + 1;
    number += 1;
    if (number > LINES_MAX) throw invalid(number, `there are more than ${LINES_MAX} lines`);
    if (isBlank(line)) continue;
    const { body, format } = requestOf(line, number);
    const { model, facts } = modelOf(body, number);
    models.add(model);
    const named = mayReferToObjects(body, true) ? referencesIn(body, number) : [];
    references.push(...named);
    sums.add({ model, format, body, facts, refersToObjects: named.length > 0 });
    if (models.size > MODELS_MAX) throw invalid(number, `the file names more than ${MODELS_MAX} models`);
    if (references.length > REFERENCES_MAX) throw invalid(number, 'the file refers to too many objects');
    if (at < sliceEnd) continue;
    sliceEnd = at + SLICE_BYTES;
    await nextTurn();
  }
  if (models.size === 0) throw invalid(number, 'the file has no request');
  return { models: [...models], references, lines: sums.sums() };
}

/** The bytes of the line's `body`, and what its `url` asks for; the line has no member twice. */
function requestOf(line: Buffer, number: number): { readonly body: Buffer; readonly format: Format | null } {
  const members = membersOf(line, number);
  const names = new Set(members.map(({ key }) => key.toLowerCase()));
  if (names.size !== members.length) throw invalid(number, 'a member stands there twice');
  const body = members.find(({ key }) => key === 'body');
  if (body === undefined) throw invalid(number, 'it has no "body"');
  const url = members.find(({ key }) => key === 'url');
  const format = url === undefined ? null : formatOf(line.subarray(url.valueStart, url.valueEnd));
  return { body: line.subarray(body.valueStart, body.valueEnd), format };
}

const URL_MAX_BYTES = 256;

/** Null for what is no text, or no route. */
function formatOf(json: Buffer): Format | null {
  if (json.length > URL_MAX_BYTES || json[0] !== QUOTE) return null;
  const url: unknown = JSON.parse(json.toString('utf8'));
  const found = typeof url === 'string' ? matchSurface('POST', url, false) : null;
  return found === null || isSurfaceMiss(found) ? null : found.format;
}

const QUOTE = 0x22;

function membersOf(line: Buffer, number: number): readonly JsonMember[] {
  try {
    return scanJsonDocument(line);
  } catch (error) {
    if (error instanceof JsonScanError) throw invalid(number, error.message);
    throw error;
  }
}

function modelOf(body: Buffer, number: number): { readonly model: string; readonly facts: BodyFacts } {
  const facts = readRequestBody(body, LINE_MATCH);
  if (isBodyProblem(facts)) throw invalid(number, facts.message);
  if (facts.model === null) throw invalid(number, 'its body names no model');
  if (toolModels(facts, body).length > 0)
    throw invalid(number, 'its body has a tool with a model of its own, which batches do not take');
  return { model: facts.model, facts };
}

function referencesIn(body: Buffer, number: number): readonly ObjectReference[] {
  const value: unknown = JSON.parse(body.toString('utf8'));
  if (repeatsMember(body, value, REFERENCE_MEMBERS))
    throw invalid(number, 'a member that names an object stands there twice');
  return findObjectReferences(value, true);
}

function isBlank(line: Buffer): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09);
}

function invalid(number: number, why: string): Refused {
  return new Refused('body_invalid', `line ${number} of the batch file: ${why}`);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
