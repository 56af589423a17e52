/** What somebody sees whom the server knows and nothing is granted to. */
import { UserRoundX } from 'lucide-react';
import { useMe } from '../../access.ts';
import { Card, CopyButton, EmptyState, Facts, Mono } from '../../ui/index.ts';
import { WaitingCard } from './waiting-card.tsx';

export function NoRole() {
  const { principal, groups, door } = useMe();
  return (
    <>
      <Card title={null} label="No role yet">
        <EmptyState
          title="Nothing is granted to you yet"
          icon={UserRoundX}
          action={<CopyButton text={principal} label="Copy who you are" small={false} />}
        >
          This server knows you, but no rule gives you a model. Send an admin the line below; they add it to a
          grant.
        </EmptyState>
        <Facts
          facts={[
            ['You are', <Mono key="principal">{principal}</Mono>],
            ['Groups', groups.length === 0 ? 'none' : groups.join(', ')],
            ['Known by', door],
          ]}
        />
      </Card>
      <WaitingCard />
    </>
  );
}
