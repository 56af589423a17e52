/** The network that this gateway is in by itself: as which device, and where it is reached there. */
import { useQuery } from '@tanstack/react-query';
import type { Schema } from '../../api/client.ts';
import { isProblem } from '../../api/problem.ts';
import { counted, Time } from '../../format/index.ts';
import { Badge, Card, Facts, Loaded, Mono, Notice, type Tone } from '../../ui/index.ts';
import { joinedNetworkQuery } from './queries.ts';

type Network = Schema<'Network'>;

const STATES: Readonly<Record<Network['state'], { readonly label: string; readonly tone: Tone }>> = {
  off: { label: 'in none', tone: 'neutral' },
  starting: { label: 'joining', tone: 'info' },
  needs_login: { label: 'waits to be let in', tone: 'warn' },
  running: { label: 'connected', tone: 'good' },
  failed: { label: 'failed', tone: 'bad' },
};

export function JoinedNetwork() {
  const network = useQuery(joinedNetworkQuery());
  // A server that joins no networks says nothing about one.
  if (isProblem(network.error, 'not_found')) return null;
  return (
    <Card title="Network of this gateway">
      <Loaded query={network} what="The network could not be loaded">
        {(joined) => <Standing network={joined} />}
      </Loaded>
    </Card>
  );
}

function Standing({ network }: { readonly network: Network }) {
  const { state, problem, login_server: loginServer, addresses, urls, peers } = network;
  const { label, tone } = STATES[state];
  const isIn = state === 'running' && network.dns_name !== '';
  return (
    <>
      {problem !== null && (
        <Notice tone="warn">
          <span className="stranger">{problem}</span>
        </Notice>
      )}
      <Facts
        facts={[
          [
            'State',
            <Badge key="state" tone={tone}>
              {state === 'running' && network.control !== 'running' ? 'connected by the last map' : label}
            </Badge>,
          ],
          ...(loginServer === null
            ? []
            : [['Control server', <Mono key="server">{loginServer}</Mono>] as const]),
          ...(isIn
            ? [
                ['Name', <Mono key="name">{network.dns_name}</Mono>] as const,
                ['Addresses', <Mono key="addresses">{addresses.join(', ')}</Mono>] as const,
                ['Reached at', <Mono key="urls">{urls.join(', ')}</Mono>] as const,
                [
                  'Device of',
                  <span key="of" className="stranger">
                    {network.user ?? network.tags.join(', ')}
                  </span>,
                ] as const,
                ['Devices seen', counted(peers.length, 'device')] as const,
              ]
            : []),
          ...(network.key_expires_at === null
            ? []
            : [['Key ends', <Time key="ends" at={network.key_expires_at} />] as const]),
        ]}
      />
      {state === 'off' && (
        <p className="soft small-text">
          Put it into a network with <code>postern up</code>.
        </p>
      )}
    </>
  );
}
