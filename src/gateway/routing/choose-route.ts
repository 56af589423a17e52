/**
 * From the model that a caller named to the provider, upstream id and grant that serve it. Pure:
 * policy answers from memory, health is a look-up.
 */
import type { Access, Candidate, ModelGrant, PolicySnapshot, Provider } from '../../policy/index.ts';
import { Refused } from '../reasons.ts';
import { speaks } from './speaks.ts';

export interface Route {
  readonly provider: Provider;
  /** As the caller named it; '' where it named an object. */
  readonly requestedModel: string;
  /** As the provider knows it. */
  readonly model: string;
  readonly grant: ModelGrant;
  /** The caller's name for the model must be replaced in what is sent. */
  readonly isRenamed: boolean;
}

export interface RouteQuestion {
  readonly policy: PolicySnapshot;
  readonly access: Access;
  readonly requestedModel: string;
  readonly format: string;
  /** Only this one; default any. */
  readonly provider?: string;
}

/**
 * The best candidate that is granted and speaks the format. An unknown and an ungranted model get
 * the same answer, so that a caller cannot learn what others may use.
 */
export function chooseRoute(question: RouteQuestion): Route {
  const { access, requestedModel, format } = question;
  let otherFormats: ReadonlySet<string> | null = null;
  for (const candidate of question.policy.resolve(requestedModel)) {
    if (question.provider !== undefined && candidate.provider.id !== question.provider) continue;
    const grant = access.grant(candidate.provider.id, candidate.model);
    if (grant === null) continue;
    if (!speaks(candidate.provider, format, candidate.model)) {
      otherFormats ??= candidate.provider.formats;
      continue;
    }
    return toRoute(candidate, grant, requestedModel);
  }
  if (otherFormats !== null) {
    throw new Refused(
      'format_not_available',
      `the model "${requestedModel}" is not served as ${format}; its provider speaks ${[...otherFormats].join(', ')}`,
    );
  }
  throw new Refused('model_not_available', `the model "${requestedModel}" is not available to you`);
}

function toRoute(candidate: Candidate, grant: ModelGrant, requestedModel: string): Route {
  return {
    provider: candidate.provider,
    requestedModel,
    model: candidate.model,
    grant,
    isRenamed: candidate.model !== requestedModel,
  };
}
