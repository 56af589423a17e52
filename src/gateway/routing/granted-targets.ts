/**
 * Every target that may serve a request, best first: what `chooseRoute` answers with is the first of
 * them. Translation is for callers whose format no granted target speaks; where one does, the others
 * are no fallback for it, since what is translated loses something.
 */
import type { Candidate, ModelGrant } from '../../policy/index.ts';
import { Refused } from '../reasons.ts';
import type { Route, RouteQuestion } from './choose-route.ts';
import { speaks } from './speaks.ts';

export interface GrantedTarget extends Route {
  /** The format in which it is asked: the caller's own, or the one that it is translated to. */
  readonly format: string;
  /** The key that would be used, where health is asked about it. */
  readonly keyId?: string | null;
}

export interface TargetQuestion extends RouteQuestion {
  /**
   * The format among a provider's in which the request can be put for its model, or null. Absent where policy does
   * not translate.
   */
  readonly translateTo?: (providerFormats: ReadonlySet<string>, model: string) => string | null;
}

/**
 * At least one. Throws `model_not_available` and `format_not_available`, as `chooseRoute` does: an
 * unknown and an ungranted model get the same answer.
 */
export function grantedTargets(question: TargetQuestion): readonly GrantedTarget[] {
  const { access, requestedModel, format, translateTo } = question;
  const spoken: GrantedTarget[] = [];
  const translated: GrantedTarget[] = [];
  let otherFormats: ReadonlySet<string> | null = null;
  for (const candidate of question.policy.resolve(requestedModel)) {
    if (question.provider !== undefined && candidate.provider.id !== question.provider) continue;
    const grant = access.grant(candidate.provider.id, candidate.model);
    if (grant === null) continue;
    const { formats } = candidate.provider;
    if (speaks(candidate.provider, format, candidate.model)) {
      spoken.push(toTarget(candidate, grant, { requestedModel, format }));
      continue;
    }
    otherFormats ??= formats;
    const other = translateTo?.(formats, candidate.model) ?? null;
    if (other !== null) translated.push(toTarget(candidate, grant, { requestedModel, format: other }));
  }
  if (spoken.length > 0) return spoken;
  if (translated.length > 0) return translated;
  if (otherFormats !== null) {
    throw new Refused(
      'format_not_available',
      `the model "${requestedModel}" is not served as ${format}; its provider speaks ${[...otherFormats].join(', ')}`,
    );
  }
  throw new Refused('model_not_available', `the model "${requestedModel}" is not available to you`);
}

function toTarget(
  { provider, model }: Candidate,
  grant: ModelGrant,
  { requestedModel, format }: { readonly requestedModel: string; readonly format: string },
): GrantedTarget {
  return { provider, requestedModel, model, grant, isRenamed: model !== requestedModel, format };
}
