import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { systemClock, type Clock } from '../base/clock.ts';
import { decodeEncodedWords } from './rfc2047.ts';
import { createServeDoor } from './serve.ts';
import { connection, fakeSocket } from './test-callers.ts';

/** This host on the network. */
const OWN = ['100.64.0.1', 'fd7a:115c:a1e0::1'];

function serveDoor(options: { ownAddresses?: () => readonly string[]; clock?: Clock } = {}) {
  return createServeDoor({ tailnet: 'default', ownAddresses: () => OWN, clock: systemClock, ...options });
}

function ask(
  headers: readonly string[],
  socket = fakeSocket('127.0.0.1'),
  listener: 'serve' | 'loopback' | 'tailnet' = 'serve',
  door = serveDoor(),
) {
  const answer = door.identify(connection(listener, socket), headers);
  assert.ok(!(answer instanceof Promise));
  return answer;
}

describe('the door `serve` (DESIGN section 5)', () => {
  test('takes the person from serve’s headers', () => {
    const answer = ask([
      'Tailscale-User-Login',
      'alice@example.com',
      'Tailscale-User-Name',
      'Alice',
      'Tailscale-User-Profile-Pic',
      'https://x/',
    ]);
    assert.ok(answer.kind === 'caller');
    const { principal, door, user, device } = answer.caller;
    assert.deepEqual(
      [principal, door, user?.login, user?.displayName, device],
      ['tailscale:login:alice@example.com', 'serve', 'alice@example.com', 'Alice', null],
    );
  });

  test('of each request anew: two people interleaved on one connection', () => {
    const door = serveDoor();
    const socket = fakeSocket('127.0.0.1');
    const who = (login: string): unknown => ask(['tailscale-user-login', login], socket, 'serve', door);
    const [alice, bob] = [who('alice@example.com'), who('bob@example.com')];
    for (let i = 0; i < 10; i += 1) {
      assert.equal(who('alice@example.com'), alice, 'the same object each time');
      assert.equal(who('bob@example.com'), bob);
      assert.equal(ask([], socket, 'serve', door).kind, 'none', 'and nobody in between');
    }
    assert.notEqual(alice, bob);
  });

  test('a call from this host bears the login of its owner, whoever makes it: nobody', () => {
    const from = (...sources: readonly string[]) =>
      ask([
        'Tailscale-User-Login',
        'alice@example.com',
        ...sources.flatMap((source) => ['X-Forwarded-For', source]),
      ]);
    assert.equal(from('100.64.0.9').kind, 'caller');
    for (const own of [...OWN, 'FD7A:115C:A1E0:0::1', '::ffff:100.64.0.1', '127.0.0.1', '::1', 'unknown', ''])
      assert.equal(from(own).kind, 'none', own);
    const twice = from('100.64.0.9', '100.64.0.1');
    assert.ok(twice.kind === 'refused' && twice.code === 'serve_headers_invalid');
    assert.equal(from('100.64.0.9, 100.64.0.1').kind, 'none', 'serve writes one address');
  });

  test('asks for its own addresses at most once a second', () => {
    let [asked, now] = [0, 0];
    let own = ['100.64.0.1'];
    const door = serveDoor({
      ownAddresses: () => {
        asked += 1;
        return own;
      },
      clock: { ...systemClock, monotonicMs: () => now },
    });
    const kindFrom = (source: string): string =>
      ask(['Tailscale-User-Login', 'a@b.c', 'X-Forwarded-For', source], undefined, 'serve', door).kind;
    assert.deepEqual([kindFrom('100.64.0.1'), kindFrom('100.64.0.2'), asked], ['none', 'caller', 1]);
    own = ['100.64.0.2'];
    now = 1000;
    assert.deepEqual([kindFrom('100.64.0.1'), kindFrom('100.64.0.2'), asked], ['caller', 'none', 2]);
  });

  for (const listener of ['loopback', 'tailnet'] as const) {
    test(`is closed on the listener ${listener}`, () => {
      assert.equal(
        ask(['Tailscale-User-Login', 'alice@example.com'], fakeSocket('127.0.0.1'), listener).kind,
        'none',
      );
    });
  }

  test('works on a Unix socket, not for a proxy on another machine', () => {
    assert.equal(ask(['Tailscale-User-Login', 'a@b.c'], fakeSocket(undefined)).kind, 'caller');
    for (const address of ['192.168.1.9', '100.64.0.9', 'nonsense'])
      assert.equal(ask(['Tailscale-User-Login', 'a@b.c'], fakeSocket(address)).kind, 'refused');
  });

  const refused: readonly (readonly [string, readonly string[]])[] = [
    ['Funnel', ['Tailscale-Funnel-Request', '?1']],
    ['Funnel, with a login', ['Tailscale-Funnel-Request', '?1', 'Tailscale-User-Login', 'a@b.c']],
    ['two logins', ['Tailscale-User-Login', 'a@b.c', 'tailscale-user-login', 'x@b.c']],
    ['two names', ['Tailscale-User-Login', 'a@b.c', 'Tailscale-User-Name', 'A', 'Tailscale-User-Name', 'B']],
    ['an empty login', ['Tailscale-User-Login', '']],
    ['a login with a line break', ['Tailscale-User-Login', '=?utf-8?q?a=0Ab?=']],
    ['a login of invisible characters', ['Tailscale-User-Login', '=?utf-8?q?=E2=80=8B?=']],
    ['a malformed encoded login', ['Tailscale-User-Login', '=?utf-8?q?a=Z?=']],
    ['an endless login', ['Tailscale-User-Login', 'a'.repeat(400)]],
  ];
  for (const [what, headers] of refused)
    test(`refuses ${what}`, () => assert.equal(ask(headers).kind, 'refused'));

  test('knows nobody without a login: a tagged device', () =>
    assert.equal(ask(['X-Forwarded-For', '100.64.0.1']).kind, 'none'));

  test('decodes names outside ASCII (RFC 2047)', () => {
    const answer = ask([
      'Tailscale-User-Login',
      '=?utf-8?q?zo=C3=AB@example.com?=',
      'Tailscale-User-Name',
      '=?utf-8?q?Zo=C3=AB_B?=',
    ]);
    assert.ok(answer.kind === 'caller');
    assert.deepEqual(
      [answer.caller.user?.login, answer.caller.user?.displayName],
      ['zoë@example.com', 'Zoë B'],
    );
  });

  test('remembers a bounded number of people', () => {
    const door = serveDoor();
    const first = ask(['Tailscale-User-Login', 'u0@b.c'], undefined, 'serve', door);
    for (let i = 1; i <= 10_000; i += 1) ask(['Tailscale-User-Login', `u${i}@b.c`], undefined, 'serve', door);
    const again = ask(['Tailscale-User-Login', 'u0@b.c'], undefined, 'serve', door);
    assert.notEqual(again, first);
    assert.deepEqual(again, first);
  });
});

describe('encoded words (RFC 2047)', () => {
  const table: readonly (readonly [string, string | null])[] = [
    ['plain', 'plain'],
    ['=?UTF-8?Q?a=20b_c?=', 'a b c'],
    ['=?utf-8?b?Wm/Dqw==?=', 'Zoë'],
    ['=?utf-8?q?a?= =?utf-8?q?b?=', 'ab'],
    ['=?utf-8?q?a?= x =?utf-8?q?b?=', 'a x b'],
    ['=?utf-8?q?=?=', null],
    ['=?utf-8?q?=FF?=', null],
    ['=?iso-8859-1?q?a?=', null],
    ['=?utf-8?x?a?=', null],
    ['=?utf-8?b?a?=', null],
    ['=?utf-8?q?a', null],
    ['=?utf-8?q?=3D=3Fx?=', null],
  ];
  for (const [value, text] of table)
    test(`${value} is ${String(text)}`, () => assert.equal(decodeEncodedWords(value), text));

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.stringMatching(/^[=?_a-zA-Z0-9 -]*$/), (a, b) => {
        decodeEncodedWords(a);
        decodeEncodedWords(`=?${b}`);
      }),
    );
  });
});
