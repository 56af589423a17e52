/** One question to the policy: may this reach that, by which rule, and what would change it. */
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import { Badge, Button, Card, ComboBox, ErrorState, Notice, TextField } from '../../ui/index.ts';
import { type Tailnet, tailnetDevicesQuery, tailnetUsersQuery } from './network-queries.ts';

/** `NAME:PORT` as the command line takes it; the name may hold colons itself (`tag:server:443`). */
const TARGET = /^(?<name>.+):(?<port>\d{1,5})$/;

export function ExplainCard({
  tailnet,
  draft,
}: {
  readonly tailnet: Tailnet;
  /** What is being written; null for the policy in force. */
  readonly draft: string | null;
}) {
  const [source, setSource] = useState<string | null>(null);
  const [target, setTarget] = useState('');
  const devices = useQuery(tailnetDevicesQuery(tailnet.name));
  const users = useQuery(tailnetUsersQuery(tailnet.name));
  const ask = useMutation({
    mutationFn: (question: { source: string; destination: string; port: number }) =>
      dataOf(
        api.POST('/api/v1/tailnets/{tailnet}/policy/explain', {
          params: { path: { tailnet: tailnet.name } },
          body: { ...question, ...(draft === null ? {} : { policy: draft }) },
        }),
      ),
  });
  const { name: destination, port } = TARGET.exec(target.trim())?.groups ?? {};
  const isComplete =
    source !== null && destination !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
  const submit = (): void => {
    if (isComplete && !ask.isPending) ask.mutate({ source, destination, port: Number(port) });
  };
  const ends = [
    ...(users.data?.items ?? []).map(({ login }) => login),
    ...new Set((devices.data?.items ?? []).flatMap(({ tags }) => tags)),
    ...(devices.data?.items ?? []).slice(0, 500).map(({ name }) => name),
  ];
  return (
    <Card
      title="Explain"
      hint={draft === null ? 'Asks the policy in force.' : 'Asks the draft, before it is saved.'}
    >
      <div className="stack">
        <div className="network-question">
          <ComboBox
            label="May"
            options={ends.map((id) => ({ id, label: id }))}
            value={source}
            onChange={setSource}
            allowsOther
            placeholder="alice@example.com"
          />
          <TextField
            label="reach"
            value={target}
            onChange={setTarget}
            onEnter={submit}
            maxLength={300}
            placeholder="tag:server:443"
            error={
              target === '' || destination !== undefined ? null : 'A device, tag or address, then :PORT.'
            }
          />
          <Button busy={ask.isPending} isDisabled={!isComplete} onPress={submit}>
            Explain
          </Button>
        </div>
        {ask.error !== null && <ErrorState error={ask.error} what="The question could not be asked" />}
        {ask.data !== undefined && (
          <Notice tone={ask.data.fault !== null ? 'warn' : ask.data.allowed ? 'good' : 'bad'}>
            <p>
              <Badge tone={ask.data.allowed ? 'good' : 'bad'}>
                {ask.data.fault !== null ? 'cannot be asked' : ask.data.allowed ? 'allowed' : 'refused'}
              </Badge>
            </p>
            <p className="network-answer stranger" role="status">
              {ask.data.text}
            </p>
          </Notice>
        )}
      </div>
    </Card>
  );
}
