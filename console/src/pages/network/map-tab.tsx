/** Who may reach what in a tailnet: drawn, and as a table that says the same. */
import { useQuery } from '@tanstack/react-query';
import { Waypoints } from 'lucide-react';
import { useSearchParams } from 'react-router';
import { counted } from '../../format/index.ts';
import {
  Badge,
  Card,
  type Column,
  DataTable,
  EmptyState,
  Loaded,
  Notice,
  Pager,
  Select,
} from '../../ui/index.ts';
import { countParam, textParam, useUrlState } from '../../url-state.ts';
import { type NetworkMap, networkMapQuery, type Tailnet } from './network-queries.ts';
import { namesText } from './network-texts.ts';
import { ReachDrawing } from './reach-drawing.tsx';
import { labelOf, type ReachGroup, type ReachLink, trafficText } from './reach-texts.ts';

/** Ends on one side of a drawing; of more, one end is looked at at a time. */
const DRAWN_MAX = 24;
const PAGE_SIZE = 50;

export function MapTab({ tailnet }: { readonly tailnet: Tailnet }) {
  const map = useQuery(networkMapQuery(tailnet.name));
  return (
    <Loaded query={map} what="The map could not be loaded" lines={10}>
      {(data) => <ReachView map={data} />}
    </Loaded>
  );
}

function ReachView({ map }: { readonly map: NetworkMap }) {
  const [{ end, skip }, setState] = useUrlState({ end: textParam(), skip: countParam(0) });
  const [search] = useSearchParams();
  const groups = new Map(map.groups.map((group) => [group.id, group]));
  const label = (id: string): string => {
    const group = groups.get(id);
    return group === undefined ? id : labelOf(group);
  };
  // By name, not by number: numbers are other ones once somebody joined.
  const chosen = map.groups.find((group) => group.names.join(' ') === end) ?? null;
  const links = map.links.filter(({ from, to }) => chosen === null || from === chosen.id || to === chosen.id);
  const sides = Math.max(
    new Set(links.map(({ from }) => from)).size,
    new Set(links.map(({ to }) => to)).size,
  );
  const hrefOf = ({ from }: ReachLink): string => {
    const next = new URLSearchParams(search);
    next.set('end', groups.get(from)?.names.join(' ') ?? '');
    next.delete('skip');
    return `/network?${next}`;
  };
  if (map.groups.length === 0)
    return (
      <Card title={null} label="Map">
        <EmptyState title="No device to draw" icon={Waypoints}>
          Devices that have joined and were approved are shown here, with what the policy lets them reach.
        </EmptyState>
      </Card>
    );
  return (
    <>
      {!map.complete && (
        <Notice tone="warn">This network is too large for all of it: some links are not shown here.</Notice>
      )}
      <Card
        title="Who may reach what"
        hint="Read from the filters that devices are sent. Devices that are treated alike are one box."
        actions={
          <Select
            small
            label="Look at"
            options={[
              { id: '', label: 'Everybody' },
              ...map.groups.map((group) => ({
                id: group.names.join(' '),
                label: labelOf(group),
                hint: counted(group.devices.length, 'device'),
              })),
            ]}
            value={chosen === null ? '' : chosen.names.join(' ')}
            onChange={(next) => setState({ end: next === '' ? null : next, skip: 0 })}
          />
        }
      >
        {links.length === 0 ? (
          <EmptyState title="Nobody reaches anything" icon={Waypoints}>
            The policy lets {chosen === null ? 'no device' : 'none of these devices'} reach another, or there
            is no other yet.
          </EmptyState>
        ) : sides > DRAWN_MAX ? (
          <Notice>
            {counted(map.groups.length, 'group')} are too many to draw at once: choose one under “Look at”.
            The table below has all.
          </Notice>
        ) : (
          <ReachDrawing groups={map.groups} links={links} />
        )}
      </Card>
      {links.length > 0 && (
        <Card title={null} label="Links" flush>
          <DataTable
            label="Who may reach what"
            columns={columns(label)}
            rows={links.slice(skip, skip + PAGE_SIZE)}
            rowId={({ from, to }) => `${from} ${to}`}
            rowHref={hrefOf}
          />
          <Pager
            cursor={skip === 0 ? null : String(skip)}
            nextCursor={skip + PAGE_SIZE >= links.length ? null : String(skip + PAGE_SIZE)}
            onCursor={(cursor) => setState({ skip: Number(cursor ?? 0) })}
            shown={counted(links.length, 'link')}
          />
        </Card>
      )}
      {chosen !== null && <Members group={chosen} />}
    </>
  );
}

function columns(label: (id: string) => string): readonly Column<ReachLink>[] {
  return [
    {
      id: 'from',
      head: 'From',
      priority: 1,
      cell: ({ from }) => <span className="stranger">{label(from)}</span>,
    },
    {
      id: 'to',
      head: 'May reach',
      cell: ({ from, to }) => <span className="stranger">{from === to ? 'each other' : label(to)}</span>,
    },
    { id: 'traffic', head: 'By', cell: (link) => trafficText(link) },
    {
      id: 'behind',
      head: 'And behind it',
      cell: ({ behind }) => <span className="stranger">{behind.join(', ')}</span>,
    },
    {
      id: 'partial',
      head: 'Devices',
      cell: ({ partial }) => (partial ? <Badge tone="warn">some of them</Badge> : 'all'),
    },
  ];
}

const MEMBERS_MAX = 200;

function Members({ group }: { readonly group: ReachGroup }) {
  return (
    <Card title={`Devices of ${labelOf(group)}`} hint={`${group.online} of ${group.devices.length} online`}>
      <p className="stranger">
        {group.devices.slice(0, MEMBERS_MAX).join(', ')}
        {group.devices.length > MEMBERS_MAX && ` and ${group.devices.length - MEMBERS_MAX} more`}
      </p>
      {group.kind === 'people' && group.names.length > 1 && (
        <p className="soft stranger">{namesText(group.names, MEMBERS_MAX)}</p>
      )}
    </Card>
  );
}
