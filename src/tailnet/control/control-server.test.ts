/** The coordination server over its real transport, with our own client as the device. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ControlBed, sees, startControlBed } from './control-bed.fixture.ts';

describe('joining', () => {
  let bed: ControlBed;
  before(async () => {
    bed = await startControlBed();
  });
  after(() => bed.close());

  test('a device that has an auth key joins, is named and addressed, and sees the next that joins', async () => {
    const { tailnet, user } = await bed.addPeople('first');
    const one = bed.join(await bed.key(tailnet));
    const self = await sees(one, ({ self }) => self);
    assert.equal(self.name, 'ours.first.test.internal');
    assert.equal(self.userId, user.id);
    assert.equal(self.isAuthorized, true);
    assert.ok(one.client.netmap?.derpMap.regions.has(900));
    const two = bed.join(await bed.key(tailnet));
    const peer = await sees(one, ({ peers }) => [...peers.values()][0]);
    assert.equal(peer.name, 'ours-1.first.test.internal');
    assert.equal(one.client.netmap?.users.get(peer.userId)?.loginName, user.login);
    await sees(two, ({ peers }) => peers.size === 1);
  });
});
