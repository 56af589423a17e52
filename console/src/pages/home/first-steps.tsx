/** What a new server still lacks: an admin, a provider, a document in force. Shown only where something is missing. */
import { useQuery } from '@tanstack/react-query';
import { useAccess } from '../../access.ts';
import { useLive } from '../../api/live.ts';
import { statusQuery } from '../../api/queries.ts';
import { LinkButton, Notice } from '../../ui/index.ts';

export function FirstSteps() {
  const { isAdmin } = useAccess();
  const status = useQuery(statusQuery());
  useLive(['gap', 'config.changed', 'config.failed'], () => void status.refetch());
  if (status.data === undefined) return null;
  const { claimed, providers, document } = status.data;
  const fault = document?.error ?? null;
  const hasProvider = providers.some(({ test }) => !test);
  return (
    <>
      {!claimed && (
        <Notice tone="warn">
          <strong>Nobody administers this server yet.</strong> Open the claim link that the server printed on
          its terminal: it makes you the admin, and works once.
        </Notice>
      )}
      {fault !== null && (
        <Notice tone="bad">
          <strong>The newest policy document is not in force:</strong>{' '}
          <span className="stranger">{fault}</span>
        </Notice>
      )}
      {!hasProvider && (
        <Notice>
          <div className="row">
            <p className="home-step">
              <strong>No provider yet:</strong> only the test model <code>postern/echo</code> answers. Set{' '}
              <code>ANTHROPIC_API_KEY</code>, <code>OPENAI_API_KEY</code>, <code>GEMINI_API_KEY</code> or{' '}
              <code>OPENROUTER_API_KEY</code> and start the server again
              {isAdmin ? ', or add a provider here.' : ', or ask an admin to add one.'}
            </p>
            {isAdmin && (
              <LinkButton to="/providers" small>
                Add a provider
              </LinkButton>
            )}
          </div>
        </Notice>
      )}
    </>
  );
}
