/** For tests: real approvals over a database in memory, in the world of a test. */
import { type ApprovalEvents, type Approvals, createApprovals } from '../approvals/index.ts';
import { entry, storeOver, testDatabase, testTime } from '../approvals/test-approvals.ts';
import { silentLogger } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { EventBus } from '../events/bus.ts';
import type { Caller } from '../identity/caller.ts';
import type { TokenRow } from '../store/shapes.ts';
import type { ApprovalsPort } from './ports.ts';

export type MemoryApprovals = Approvals & ApprovalsPort;

export interface ApprovalsWorld {
  now(): number;
  roles(who: Caller): ReadonlySet<string>;
  tokens(): readonly TokenRow[];
  bus(): Pick<EventBus<ApprovalEvents>, 'publish'>;
}

export function memoryApprovals(world: ApprovalsWorld): MemoryApprovals {
  const machine = createApprovals({
    store: storeOver(testDatabase()),
    clock: { now: () => world.now(), monotonicMs: () => world.now() },
    timers: testTime().timers,
    random: systemRandom,
    logger: silentLogger,
    keys: { seal: new Uint8Array(32).fill(1), hash: new Uint8Array(32).fill(2) },
    notifier: null,
    publish: (name, event) => world.bus().publish(name, event),
    mayApprove(approvers, who) {
      if (approvers.length > 0) return approvers.includes(who.principal);
      const roles = world.roles(who);
      return roles.has('approver') || roles.has('admin');
    },
    entryOf: () => null,
    peopleBehind: (id) =>
      world
        .tokens()
        .filter((row) => row.id === id)
        .flatMap((row) => [row.owner, row.createdBy]),
    linkFor: (id) => `http://localhost/approvals/${id}`,
  });
  return { ...machine, entryFor: () => entry() };
}
