/** DNS of a tailnet: names of devices, resolvers, and further names. */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useAccess } from '../../access.ts';
import { api, dataOf } from '../../api/client.ts';
import { messageOf } from '../../api/problem.ts';
import { useAction } from '../../presence/index.ts';
import { Button, Card, Checkbox, Facts, Loaded, Notice, TextField } from '../../ui/index.ts';
import { type DnsLines, linesOf, readLines } from './dns-texts.ts';
import { type Tailnet, tailnetDnsQuery, type TailnetDns } from './network-queries.ts';

/** 1,000 entries of the longest names. */
const LINES_MAX = 300_000;

export function DnsTab({ tailnet }: { readonly tailnet: Tailnet }) {
  const { isAdmin } = useAccess();
  const query = useQuery(tailnetDnsQuery(tailnet.name));
  return (
    <Card title="DNS" hint="What devices resolve, and where. They know of a change within a second.">
      <Loaded query={query} what="The DNS settings could not be loaded" lines={6}>
        {(dns) =>
          isAdmin ? (
            <DnsForm key={JSON.stringify(dns)} tailnet={tailnet} dns={dns} />
          ) : (
            <DnsFacts tailnet={tailnet} dns={dns} />
          )
        }
      </Loaded>
    </Card>
  );
}

function DnsFacts({ tailnet, dns }: { readonly tailnet: Tailnet; readonly dns: TailnetDns }) {
  const { resolvers, split, search, records } = linesOf(dns);
  const shown = (text: string, none: string) =>
    text === '' ? none : <span className="stranger network-lines">{text}</span>;
  return (
    <Facts
      facts={[
        ['MagicDNS', dns.magic_dns ? `on: devices are named *.${tailnet.domain}` : 'off'],
        ['Resolvers', shown(resolvers, 'each device’s own')],
        ['Split DNS', shown(split, 'none')],
        ['Search domains', shown(search, 'the tailnet’s own only')],
        ['Further names', shown(records, 'none')],
      ]}
    />
  );
}

function DnsForm({ tailnet, dns }: { readonly tailnet: Tailnet; readonly dns: TailnetDns }) {
  const [isMagic, setMagic] = useState(dns.magic_dns);
  const [lines, setLines] = useState<DnsLines>(() => linesOf(dns));
  const { dns: read, problems } = readLines(lines);
  const save = useAction({
    run: () =>
      dataOf(
        api.PUT('/api/v1/tailnets/{tailnet}/dns', {
          params: { path: { tailnet: tailnet.name } },
          body: { ...read, magic_dns: isMagic },
        }),
      ),
    done: 'The DNS settings are in force.',
    changes: ['tailnets', 'audit'],
    onFailure: () => true,
  });
  const before = linesOf(dns);
  const isChanged =
    isMagic !== dns.magic_dns ||
    (['resolvers', 'split', 'search', 'records'] as const).some((part) => lines[part] !== before[part]);
  const field = (part: keyof DnsLines) => ({
    value: lines[part],
    onChange: (text: string) => setLines((all) => ({ ...all, [part]: text })),
    rows: 3,
    mono: true,
    maxLength: LINES_MAX,
  });
  return (
    <div className="stack network-form">
      {save.error !== null && !save.isBusy && <Notice tone="bad">{messageOf(save.error)}</Notice>}
      <Checkbox
        label={`MagicDNS: devices resolve each other as *.${tailnet.domain}`}
        checked={isMagic}
        onChange={setMagic}
      />
      <TextField
        label="Resolvers for everything"
        hint="Addresses, one a line. Empty: each device keeps its own."
        {...field('resolvers')}
      />
      <TextField
        label="Split DNS"
        hint="One domain a line, with the resolvers that answer for it."
        placeholder="corp.example = 10.0.0.53"
        error={problems.split}
        {...field('split')}
      />
      <TextField label="Search domains" hint="One a line, besides the tailnet’s own." {...field('search')} />
      <TextField
        label="Further names"
        hint="One a line, with its address."
        placeholder="wiki.corp.example = 100.64.0.7"
        error={problems.records}
        {...field('records')}
      />
      <Button
        kind="primary"
        busy={save.isBusy}
        isDisabled={!isChanged || problems.split !== null || problems.records !== null}
        onPress={() => save.start()}
      >
        Save the DNS settings
      </Button>
    </div>
  );
}
