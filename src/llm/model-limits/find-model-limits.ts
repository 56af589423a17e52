/** From a model's name, as a provider of any kind writes it, to what is known of the model. */
import { knownModels, type ModelLimits } from './known-models.ts';

/** Names come from documents and callers. */
const NAME_MAX = 300;

/** `us.anthropic.`, `global.openai.`, `amazon.`: region and maker in Bedrock's names. */
const BEDROCK_MAKER =
  /^(?:(?:us|eu|apac|jp|au|ca|global|us-gov)\.)?(?:anthropic|amazon|openai|meta|mistral|deepseek|cohere)\./;
/**
 * What may follow a family's name without making it another model: the date of a version
 * (`-20250929`, `-2024-08-06`, `@20250929`), `-latest`, `-preview` with or without a date, Bedrock's
 * `-v1:0`, a tune's `:free`. Anything else (`-mini`, `-audio`) is another model.
 */
const VERSION =
  /^(?:[-@](?:20\d{6}|20\d\d-\d\d-\d\d|\d{4}|\d{3}|latest|default))?(?:-(?:preview|exp)(?:-\d\d-(?:\d\d|20\d\d))?)?(?:-v\d+(?::\d+)?)?(?::(?:free|nitro|floor))?$/;

/** Looks names up; never throws. Null for a model that the table does not have. */
export function createModelLimits(): (model: string) => ModelLimits | null {
  const known = knownModels();
  return (model) => {
    if (model.length > NAME_MAX) return null;
    const plain = plainName(model);
    const exact = known.get(plain);
    if (exact !== undefined) return exact;
    // The longest name first: `gpt-4o-mini-2024-07-18` is no `gpt-4o`.
    for (let end = plain.length - 1; end > 0; end -= 1) {
      const found = known.get(plain.slice(0, end));
      if (found !== undefined) return VERSION.test(plain.slice(end)) ? found : null;
    }
    return null;
  };
}

function plainName(model: string): string {
  const last = model.slice(model.lastIndexOf('/') + 1).toLowerCase();
  const name = last.replace(BEDROCK_MAKER, '');
  return name.startsWith('claude-') ? name.replace(/(?<=\d)\.(?=\d)/g, '-') : name;
}
