import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGatewayDocument } from '../policy/index.ts';
import { statedCapture } from './stated-capture.ts';

const STORED = [{ models: ['**'] }];

function documentWith(captures: readonly (string | null)[], more: Record<string, unknown> = {}) {
  const capabilities = captures.map((capture) => ({
    role: 'user',
    models: '**',
    ...(capture === null ? {} : { capture }),
  }));
  const text = JSON.stringify({
    grants: [{ src: ['*'], app: { 'postern.dev/cap/gateway': capabilities } }],
    ...more,
  });
  return parseGatewayDocument(text, { source: 'file' }).document;
}

test('the banner says what the least private grant keeps', () => {
  assert.equal(statedCapture({ document: documentWith(['metadata']), storedGrants: [] }), 'metadata');
  assert.equal(statedCapture({ document: documentWith(['none']), storedGrants: [] }), 'none');
  assert.equal(statedCapture({ document: documentWith(['none', 'metadata']), storedGrants: [] }), 'metadata');
  assert.equal(statedCapture({ document: documentWith(['metadata', null]), storedGrants: [] }), 'full');
});

test('a stored grant keeps bodies, and so does whatever nobody can tell yet', () => {
  assert.equal(statedCapture({ document: documentWith(['metadata']), storedGrants: STORED }), 'full');
  assert.equal(statedCapture({ document: documentWith([]), storedGrants: [] }), 'full');
});

test('retention "0" keeps no bodies, whatever grants say', () => {
  const document = documentWith([null], { retention: { duration: '0' } });
  assert.equal(statedCapture({ document, storedGrants: STORED }), 'metadata');
});
