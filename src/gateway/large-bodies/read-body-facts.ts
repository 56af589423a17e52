/** What the pipeline needs to know of a body, found in one go: the same on the request loop and in a thread. */
import {
  isBodyProblem,
  readRequestBody,
  type BodyFacts,
  type BodyProblem,
  type PlainBodyFacts,
  type SurfaceMatch,
} from '../../llm/index.ts';
import type { StoredInputs } from '../../llm/stored-inputs/index.ts';
import { REFERENCE_KEYS, type ObjectReference } from '../ownership/object-references.ts';
import { referencesOf } from '../ownership/request-references.ts';
import { storedInputsOf } from '../routing/stored-inputs.ts';
import { Refused, toRefused, type ReasonCode } from '../reasons.ts';

export interface BodyQuestion {
  readonly match: SurfaceMatch;
  readonly contentType: string | null;
}

/** A body that was read elsewhere: everything in it that is not bytes. */
export interface BodyReading {
  readonly facts: PlainBodyFacts;
  /** The provider objects that it names. */
  readonly references: readonly ObjectReference[];
  /** What it asks a cloud to read. */
  readonly storedInputs: StoredInputs;
}

/** A refusal as plain data. */
export interface BodyRefusal {
  readonly code: ReasonCode;
  readonly message: string;
  /** For the log only. */
  readonly detail: string | undefined;
}

/** The facts of a body; throws `model_missing` or `body_invalid`. */
export function bodyFacts(body: Buffer, { match, contentType }: BodyQuestion): BodyFacts {
  const read: BodyFacts | BodyProblem = readRequestBody(body, match, contentType, REFERENCE_KEYS);
  if (!isBodyProblem(read)) return read;
  throw new Refused(read.problem === 'model_missing' ? 'model_missing' : 'body_invalid', read.message);
}

/** As `bodyFacts`, with the references, as plain data; for the thread. Never throws. */
export function readBodyFacts(body: Buffer, question: BodyQuestion): BodyReading | BodyRefusal {
  try {
    const facts = bodyFacts(body, question);
    const references = referencesOf({ ...question, body, facts, references: null });
    return { facts: toPlain(facts), references, storedInputs: storedInputsOf(body, facts) };
  } catch (error) {
    const { code, message, detail } = toRefused(error);
    return { code, message, detail };
  }
}

function toPlain(facts: BodyFacts): PlainBodyFacts {
  const { kind, model, stream, includeUsage, members, modelSpan, hasTools, previousResponseId, watchedKeys } =
    facts;
  return {
    kind,
    model,
    stream,
    includeUsage,
    members,
    modelSpan,
    hasTools,
    previousResponseId,
    watchedKeys,
  };
}

export function isRefusal(read: BodyReading | BodyRefusal): read is BodyRefusal {
  return 'code' in read;
}
