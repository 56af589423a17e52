import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { restoreServeHost } from './serve-host.ts';

/** The request as Node gives it: names in lower case in `headers`, the first `Host` counts. */
function requestWith(rawHeaders: readonly string[]) {
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers[(rawHeaders[i] ?? '').toLowerCase()] ??= rawHeaders[i + 1] ?? '';
  }
  return { headers, rawHeaders: [...rawHeaders] };
}

function restored(...rawHeaders: string[]) {
  const req = requestWith(rawHeaders);
  restoreServeHost(req);
  return { host: req.headers['host'], raw: req.rawHeaders };
}

describe('the name that a caller behind serve asked for (serve.go, addProxyForwardedHeaders)', () => {
  test('behind a Unix socket it is the forwarded one, in the parsed and in the raw headers', () => {
    assert.deepEqual(
      restored('Host', 'localhost', 'Accept', '*/*', 'X-Forwarded-Host', 'ai.tail1.ts.net:8443'),
      {
        host: 'ai.tail1.ts.net:8443',
        raw: ['Host', 'ai.tail1.ts.net:8443', 'Accept', '*/*', 'X-Forwarded-Host', 'ai.tail1.ts.net:8443'],
      },
    );
  });

  test('a `Host` that is not the placeholder stays, whatever is forwarded', () => {
    for (const host of ['ai.tail1.ts.net', 'localhost:80', 'LOCALHOST', 'evil.example', '']) {
      assert.equal(restored('Host', host, 'X-Forwarded-Host', 'ai.tail1.ts.net').host, host);
    }
  });

  test('without a forwarded name, or with more than one of either, nothing changes', () => {
    assert.equal(restored('Host', 'localhost').host, 'localhost');
    assert.equal(restored('X-Forwarded-Host', 'ai.tail1.ts.net').host, undefined);
    const twice = ['X-Forwarded-Host', 'ai.tail1.ts.net', 'x-forwarded-host', 'evil.example'];
    assert.equal(restored('Host', 'localhost', ...twice).host, 'localhost');
    const hosts = ['Host', 'localhost', 'Host', 'evil.example', 'X-Forwarded-Host', 'ai.tail1.ts.net'];
    assert.deepEqual(restored(...hosts).raw, hosts);
  });
});
