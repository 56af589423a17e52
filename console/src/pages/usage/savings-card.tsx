/** What caches saved: answers kept by this server, and prompts kept by providers. */
import { useQuery } from '@tanstack/react-query';
import { counted, Money, Tokens } from '../../format/index.ts';
import { Card, Loaded, Stat, Stats } from '../../ui/index.ts';
import { TruncatedNotice } from './truncated-notice.tsx';
import { savingsQuery, type UsageFilter, type UsageSpan } from './usage-queries.ts';
import { nameText } from './usage-texts.ts';

const MODELS_MAX = 6;

export function SavingsCard({ filter, span }: { readonly filter: UsageFilter; readonly span: UsageSpan }) {
  const savings = useQuery(savingsQuery(filter, span));
  return (
    <Card title="Saved by caches">
      <Loaded query={savings} what="The savings could not be loaded">
        {({ response_cache: answers, prompt_cache: prompts, truncated }) => (
          <>
            <TruncatedNotice isCut={truncated} />
            <Stats>
              <Stat
                label="By providers' prompt caches"
                value={<Money nano={prompts.saved_nano_usd} estimated />}
                note={
                  <>
                    <Tokens count={prompts.read_tokens} /> tokens read,{' '}
                    <Tokens count={prompts.write_tokens} /> written
                  </>
                }
              />
              <Stat
                label="By answers kept here"
                value={<Money nano={answers.saved_nano_usd} />}
                note={counted(answers.hits, 'answer')}
              />
            </Stats>
            {prompts.models.length === 0 ? (
              <p className="soft small-text usage-note">
                Nothing was read from a cache in this time. Agents that send the same beginning again get it
                cheaper: providers keep prompts that are marked for it, and the policy can keep whole answers.
              </p>
            ) : (
              <ul className="usage-saved" aria-label="Saved by model">
                {prompts.models.slice(0, MODELS_MAX).map((model) => (
                  <li key={`${model.provider ?? ''} ${model.model ?? ''}`}>
                    <span className="stranger">{nameText(model.model)}</span>
                    <span className="number">
                      {model.saved_nano_usd === null ? (
                        'no known price'
                      ) : (
                        <Money nano={model.saved_nano_usd} estimated />
                      )}
                    </span>
                  </li>
                ))}
              </ul>
            )}
            {prompts.unpriced_tokens > 0 && (
              <p className="soft small-text usage-note">
                <Tokens count={prompts.unpriced_tokens} /> tokens of models without known prices are not in
                it.
              </p>
            )}
          </>
        )}
      </Loaded>
    </Card>
  );
}
