/** The places of the console: what navigation shows to whom, and the keys that lead there. */
import {
  Activity,
  ChartColumn,
  House,
  Inbox,
  KeyRound,
  List,
  type LucideIcon,
  MessagesSquare,
  MonitorSmartphone,
  Network,
  ScrollText,
  Settings,
  ShieldCheck,
  SquareTerminal,
} from 'lucide-react';
import type { Access } from '../access.ts';

export interface Place {
  readonly to: string;
  readonly label: string;
  readonly icon: LucideIcon;
  /** Pressed after `g`. */
  readonly key: string;
  readonly isFor: (access: Access) => boolean;
  /** Beside the others at the bottom of a phone. */
  readonly isOnBar?: boolean;
}

const anybody = (): boolean => true;
const users = (access: Access): boolean => access.isUser;
const overseers = (access: Access): boolean => access.seesAll;

/** In the order in which they are shown. */
export const PLACES: readonly Place[] = [
  { to: '/', label: 'Home', icon: House, key: 'h', isFor: anybody, isOnBar: true },
  { to: '/live', label: 'Live', icon: Activity, key: 'l', isFor: users, isOnBar: true },
  { to: '/requests', label: 'Requests', icon: List, key: 'r', isFor: users },
  { to: '/sessions', label: 'Sessions', icon: MessagesSquare, key: 's', isFor: users, isOnBar: true },
  { to: '/usage', label: 'Usage and cost', icon: ChartColumn, key: 'u', isFor: users },
  { to: '/approvals', label: 'Approvals', icon: Inbox, key: 'a', isFor: anybody, isOnBar: true },
  { to: '/playground', label: 'Playground', icon: SquareTerminal, key: 'p', isFor: users },
  { to: '/policy', label: 'Policy', icon: ShieldCheck, key: 'o', isFor: overseers },
  { to: '/providers', label: 'Providers and keys', icon: KeyRound, key: 'k', isFor: overseers },
  { to: '/network', label: 'Network', icon: Network, key: 'n', isFor: overseers },
  { to: '/devices', label: 'Devices', icon: MonitorSmartphone, key: 'v', isFor: overseers },
  { to: '/audit', label: 'Audit', icon: ScrollText, key: 'd', isFor: overseers },
  { to: '/settings', label: 'Settings', icon: Settings, key: 't', isFor: anybody },
];

/** Places that the viewer may open. */
export function placesFor(access: Access): readonly Place[] {
  return PLACES.filter(({ isFor }) => isFor(access));
}
