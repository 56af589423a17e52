import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { AppError } from '../../base/errors.ts';
import { type RequestHeadInput, createRequestHead } from './request-head.ts';

function textOf(input: Partial<RequestHeadInput>): string {
  return createRequestHead({ method: 'GET', path: '/', headers: [], body: null, host: 'a.example', ...input })
    .text;
}

describe('the head of a request', () => {
  test('has the host of the origin, the headers in their order, and a length of our own', () => {
    assert.equal(
      textOf({ method: 'POST', path: '/v1?x=1', headers: ['X-A', 'b', 'x-a', ''], body: Buffer.from('né') }),
      'POST /v1?x=1 HTTP/1.1\r\nhost: a.example\r\nX-A: b\r\nx-a: \r\ncontent-length: 3\r\n\r\n',
    );
    assert.match(textOf({ headers: ['Host', 'b.example'] }), /\r\nhost: b\.example\r\n/);
  });

  test('says that there is no body only where one could be (RFC 9110 section 8.6)', () => {
    assert.match(textOf({ method: 'POST' }), /content-length: 0\r\n/);
    assert.doesNotMatch(textOf({ method: 'GET' }), /content-length/);
    assert.match(textOf({ method: 'DELETE', body: Buffer.from('x') }), /content-length: 1\r\n/);
  });

  test('sends a stream in chunks, or by the length that is given', () => {
    const body = Readable.from([]);
    assert.match(textOf({ method: 'POST', body }), /\r\ntransfer-encoding: chunked\r\n\r\n$/);
    assert.match(
      textOf({ method: 'POST', body, headers: ['Content-Length', '7'] }),
      /\r\ncontent-length: 7\r\n\r\n$/,
    );
  });

  test('asks for the end of the connection, and nothing else of it', () => {
    const head = createRequestHead({
      method: 'GET',
      path: '/',
      headers: ['Connection', 'x, close'],
      body: null,
      host: 'a',
    });
    assert.deepEqual(
      [head.isLast, head.text],
      [true, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'],
    );
    assert.equal(
      textOf({ headers: ['connection', 'keep-alive'] }),
      'GET / HTTP/1.1\r\nhost: a.example\r\n\r\n',
    );
  });

  const refused: readonly (readonly [string, Partial<RequestHeadInput>])[] = [
    ['a line end in a value', { headers: ['x', 'a\r\nb: c'] }],
    ['a bare LF in a value', { headers: ['x', 'a\nb: c'] }],
    ['a bare CR in a value', { headers: ['x', 'a\rb'] }],
    ['NUL in a value', { headers: ['x', 'a\0'] }],
    ['a character beyond latin1 that would become a line end', { headers: ['x', 'a\u010d\u010ab'] }],
    ['a line end in a name', { headers: ['x\r\ny', 'a'] }],
    ['a colon in a name', { headers: ['x:', 'a'] }],
    ['an empty name', { headers: ['', 'a'] }],
    ['a name without a value', { headers: ['x'] }],
    ['a line end in the path', { path: '/ HTTP/1.1\r\nx: y' }],
    ['a blank in the path', { path: '/a b' }],
    ['a path beyond latin1', { path: '/\u0120' }],
    ['a path without its slash', { path: 'a' }],
    ['an absolute target', { path: 'http://b.example/' }],
    ['a blank in the method', { method: 'GET /x' }],
    ['an empty method', { method: '' }],
    ['CONNECT', { method: 'CONNECT' }],
    ['two hosts', { headers: ['host', 'a', 'Host', 'b'] }],
    ['transfer-encoding', { headers: ['Transfer-Encoding', 'chunked'] }],
    ['upgrade', { headers: ['Upgrade', 'websocket'] }],
    ['expect', { headers: ['Expect', '100-continue'] }],
    ['keep-alive', { headers: ['Keep-Alive', 'timeout=5'] }],
    ['a length that is not that of the body', { body: Buffer.from('abc'), headers: ['content-length', '2'] }],
    ['a length without a body', { headers: ['content-length', '2'] }],
    ['a length that is no number', { body: Readable.from([]), headers: ['content-length', '2, 2'] }],
    ['two lengths', { body: Buffer.from('a'), headers: ['content-length', '1', 'content-length', '1'] }],
  ];
  for (const [what, input] of refused) {
    test(`is refused with ${what}`, () => {
      assert.throws(
        () => textOf(input),
        (error) =>
          error instanceof AppError && error.code === 'upstream_protocol' && !error.message.includes('b: c'),
      );
    });
  }

  test('has as many lines as it was given headers, whatever they hold', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), { maxLength: 4 }),
        fc.string({ unit: 'binary' }),
        (headers, path) => {
          let text: string;
          try {
            text = textOf({ headers: headers.flat(), path: `/${path}` });
          } catch (error) {
            assert.ok(error instanceof AppError);
            return;
          }
          assert.ok(text.split(/[\r\n]+/).length <= headers.length + 3);
          assert.match(text, /^GET \/[^\s]* HTTP\/1\.1\r\n/);
        },
      ),
    );
  });
});
