/** Version, age and size of this server, and the network that it is in. */
import { useQuery } from '@tanstack/react-query';
import { useAccess } from '../../access.ts';
import { amount, bytes, counted, durationOfMs, Relative, Time } from '../../format/index.ts';
import { Badge, Card, Facts, Loaded, Mono, Notice } from '../../ui/index.ts';
import { JoinedNetwork } from './joined-network.tsx';
import { aboutQuery } from './queries.ts';

export function AboutPart() {
  const about = useQuery(aboutQuery());
  const { seesAll } = useAccess();
  return (
    <Loaded query={about} what="The server did not say what it is">
      {({ store, recorder, ...server }) => (
        <>
          {server.demo && <Notice>This is a demo: everything here is made up.</Notice>}
          <Card title="About">
            <Facts
              facts={[
                ['Version', <Mono key="version">{server.version}</Mono>],
                [
                  'Running since',
                  <span key="since">
                    <Time at={server.started_at} /> (<Relative at={server.started_at} />)
                  </span>,
                ],
                ['Network', server.tailnet],
                ['Runs on', `Node ${server.node}, ${server.platform}`],
              ]}
            />
          </Card>
          {seesAll && <JoinedNetwork />}
          {store !== null && recorder !== null && (
            <div className="columns">
              <Card title="Store">
                <Facts
                  facts={[
                    ['Size', bytes(store.bytes)],
                    ['Requests', amount(store.requests)],
                    ['Parts of conversations', amount(store.body_items)],
                  ]}
                />
              </Card>
              <Card title="Recorder">
                <Facts
                  facts={[
                    [
                      'State',
                      recorder.lost_rows > 0 || recorder.last_error !== null ? (
                        <Badge key="state" tone="bad">
                          {recorder.last_error ?? `${counted(recorder.lost_rows, 'row')} lost`}
                        </Badge>
                      ) : (
                        <Badge key="state" tone="good">
                          writes as it comes
                        </Badge>
                      ),
                    ],
                    ['Waiting', `${counted(recorder.queued_rows, 'row')}, ${bytes(recorder.queued_bytes)}`],
                    ['Behind', durationOfMs(recorder.lag_ms)],
                    ['Written', amount(recorder.written)],
                    ['Bodies left out', amount(recorder.dropped_bodies)],
                  ]}
                />
              </Card>
            </div>
          )}
        </>
      )}
    </Loaded>
  );
}
