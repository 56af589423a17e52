/** Whom a tailnet admits by sign-in: shown here, written with the command line. */
import { useQuery } from '@tanstack/react-query';
import { LogIn } from 'lucide-react';
import { Card, EmptyState, Facts, Loaded } from '../../ui/index.ts';
import { type SignInRule, signInQuery, type Tailnet } from './network-queries.ts';

export function SignInCard({ tailnet }: { readonly tailnet: Tailnet }) {
  const rules = useQuery(signInQuery(tailnet.name));
  return (
    <Card title="Sign-in" hint="Who joins by signing in, without an admin; whom no rule names does not.">
      <Loaded query={rules} what="The rules of sign-in could not be loaded" lines={3}>
        {({ rules: shown, providers }) =>
          shown.length === 0 ? (
            <EmptyState title="Nobody joins by signing in" icon={LogIn}>
              {providers.length === 0
                ? 'The operator names no provider to sign in by. Devices join by keys, or wait for an admin.'
                : `Say who may: postern user sign-in --rules rules.json. There is ${providers.join(', ')} to sign in by.`}
            </EmptyState>
          ) : (
            <div className="stack">
              {shown.map((rule, index) => (
                <Facts key={index} facts={factsOf(rule)} />
              ))}
            </div>
          )
        }
      </Loaded>
    </Card>
  );
}

function factsOf(rule: SignInRule): readonly (readonly [string, string])[] {
  const groups = Object.entries(rule.policy_groups).map(([from, to]) => `${from} is group:${to}`);
  return [
    ['Provider', rule.provider],
    ['Mail addresses', [...rule.emails, ...rule.domains.map((domain) => `*@${domain}`)].join(', ') || 'none'],
    ['Groups', rule.groups.join(', ') || 'none'],
    ['In the policy', groups.join(', ') || 'no groups'],
  ];
}
