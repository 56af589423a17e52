import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AppError } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import { createJwtDenials, type DeniedJwt, type JwtDenials, type JwtFacts } from './jwt-denials.ts';
import { type ManualClock, manualClock } from './test-callers.ts';

const ISSUER = 'https://issuer.example';

interface World {
  readonly clock: ManualClock;
  readonly settings: Map<string, string>;
  isDown: boolean;
}

function newWorld(): World {
  return { clock: manualClock(), settings: new Map(), isDown: false };
}

function open(world: World, tailnet = 'default'): Promise<JwtDenials> {
  return createJwtDenials({
    store: {
      getSetting: async (name) => world.settings.get(name) ?? null,
      async putSetting(name, value) {
        if (world.isDown) throw new AppError('store_write_failed', 'disk full');
        world.settings.set(name, value);
      },
    },
    tailnet,
    issuers: [ISSUER],
    clock: world.clock,
    random: systemRandom,
  });
}

const FACTS: JwtFacts = {
  issuer: ISSUER,
  principal: `jwt:${ISSUER}:user-1`,
  jti: 'j1',
  tokenId: `jwt_${'0'.repeat(24)}`,
  issuedAt: 1000,
};
const jti = (id: string, issuer = ISSUER): DeniedJwt => ({ kind: 'jti', issuer, jti: id });
const subject = (issuedBefore: number, name = 'user-1'): DeniedJwt => ({
  kind: 'subject',
  issuer: ISSUER,
  subject: name,
  issuedBefore,
});

describe('the deny-list of JWTs (DESIGN section 5)', () => {
  test('denies by jti, by the id in records, and by subject up to a moment; nobody else', async () => {
    for (const [denied, hits, misses] of [
      [
        jti('j1'),
        [FACTS],
        [
          { ...FACTS, jti: 'j2' },
          { ...FACTS, jti: null },
          { ...FACTS, issuer: 'https://other' },
        ],
      ],
      [{ kind: 'token', tokenId: FACTS.tokenId }, [FACTS], [{ ...FACTS, tokenId: `jwt_${'1'.repeat(24)}` }]],
      [
        subject(2000),
        [FACTS, { ...FACTS, issuedAt: 1999 }, { ...FACTS, issuedAt: null }],
        [
          { ...FACTS, issuedAt: 2000 },
          { ...FACTS, principal: `jwt:${ISSUER}:user-2` },
        ],
      ],
    ] as const) {
      const denials = await open(newWorld());
      assert.equal(denials.denies(FACTS), false, 'an empty list denies nobody');
      await denials.add(denied, 'local:1');
      for (const facts of hits) assert.equal(denials.denies(facts), true, JSON.stringify([denied, facts]));
      for (const facts of misses) assert.equal(denials.denies(facts), false, JSON.stringify([denied, facts]));
    }
  });

  test('outlives a restart, tailnet by tailnet; what is removed is accepted again', async () => {
    const world = newWorld();
    const denials = await open(world);
    const first = await denials.add(jti('j1'), 'local:1');
    world.clock.advance(10);
    const second = await denials.add(subject(5), 'local:2');
    const again = await open(world);
    assert.deepEqual(again.list(), [second, first]);
    assert.equal(again.denies(FACTS), true);
    assert.equal((await open(world, 'other')).denies(FACTS), false);
    assert.equal(await again.remove(first.id), true);
    assert.equal(again.denies(FACTS), false);
    assert.equal(await again.remove(first.id), false);
    assert.deepEqual((await open(world)).list(), [second]);
  });

  test('of two moments for one subject the later counts, until it is removed', async () => {
    const denials = await open(newWorld());
    await denials.add(subject(500), 'local:1');
    const later = await denials.add(subject(1500), 'local:1');
    assert.equal(denials.denies(FACTS), true);
    await denials.remove(later.id);
    assert.equal(denials.denies(FACTS), false);
  });

  test('refuses what would deny nobody, and says why', async () => {
    const denials = await open(newWorld());
    for (const [denied, why] of [
      [jti('j1', 'https://typo.example'), /issuer\.example/],
      [jti(''), /jti/],
      [jti('x'.repeat(513)), /jti/],
      [subject(1, ' '), /subject/],
      [subject(1, 'a\nb'), /subject/],
      [{ kind: 'token', tokenId: 'tok_1' }, /jwt_/],
    ] as const) {
      await assert.rejects(denials.add(denied, 'local:1'), (error) => {
        assert.ok(error instanceof AppError && error.code === 'jwt_denial_invalid');
        assert.match(error.message, why);
        return true;
      });
    }
    assert.deepEqual(denials.list(), []);
  });

  test('holds at once where the store is down; a removal that was not written is none', async () => {
    const world = newWorld();
    const denials = await open(world);
    const kept = await denials.add(jti('j0'), 'local:1');
    world.isDown = true;
    const told: string[] = [];
    const stop = denials.onAdded(({ id }) => told.push(id));
    await assert.rejects(denials.add(jti('j1'), 'local:1'), /disk full/);
    assert.equal(denials.denies(FACTS), true);
    assert.equal(told.length, 1);
    await assert.rejects(denials.remove(kept.id), /disk full/);
    assert.equal(denials.denies({ ...FACTS, jti: 'j0' }), true);
    stop();
  });

  test('is bounded', async () => {
    const world = newWorld();
    const denied = Array.from({ length: 2000 }, (_, i) => ({
      id: `deny_${i}`,
      denied: jti(`j${i}`),
      createdAt: i,
      createdBy: 'local:1',
    }));
    world.settings.set('jwt.denials:default', JSON.stringify(denied));
    const denials = await open(world);
    await assert.rejects(denials.add(jti('one more'), 'local:1'), { code: 'jwt_denial_limit' });
  });

  test('a list that cannot be read ends the start: it would let in whom it names', async () => {
    for (const text of ['{', '{}', '[1]', '[{"id":"a","createdAt":1,"denied":{"kind":"jti"}}]']) {
      const world = newWorld();
      world.settings.set('jwt.denials:default', text);
      await assert.rejects(open(world), text);
    }
  });
});
