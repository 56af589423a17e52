/** Home: what I used, what is left, what runs, what waits for me, and how to connect a client. */
import { useAccess } from '../../access.ts';
import { Page } from '../../ui/index.ts';
import { BudgetsCard } from './budgets-card.tsx';
import { ConnectCard } from './connect-card.tsx';
import { FirstSteps } from './first-steps.tsx';
import { NoRole } from './no-role.tsx';
import { SessionsCard } from './sessions-card.tsx';
import { UsageCard } from './usage-card.tsx';
import { WaitingCard } from './waiting-card.tsx';
import './home.css';

export function HomePage() {
  const { me, isUser } = useAccess();
  return (
    <Page title="Home" lead={`Hello, ${me.label}.`}>
      {isUser ? (
        <>
          <FirstSteps />
          <WaitingCard />
          <div className="home-grid">
            <UsageCard />
            <BudgetsCard />
          </div>
          <SessionsCard />
          <ConnectCard />
        </>
      ) : (
        <NoRole />
      )}
    </Page>
  );
}
