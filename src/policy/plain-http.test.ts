import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGatewayDocument } from './parse-document.ts';
import { plainHttpReach } from './plain-http.ts';

test('plain HTTP is told apart by where it leads', () => {
  for (const [origin, reach] of [
    ['https://api.example.com', null],
    ['http://api.example.com', 'unknown'],
    ['http://llm.example.com.', 'unknown'],
    ['http://8.8.8.8:8000', 'public'],
    ['http://[2606:4700::1]', 'public'],
    ['http://10.0.0.5:8000', 'private'],
    ['http://100.64.1.2', 'private'],
    ['http://[fd00::1]:11434', 'private'],
    ['http://127.0.0.1:11434', 'private'],
    ['http://localhost:11434', 'private'],
    ['http://gpu-box:8000', 'private'],
    ['http://vllm.models.svc.cluster.local', 'private'],
    ['http://llm.tail1234.ts.net', 'private'],
    ['http://vllm.internal', 'private'],
    ['', null],
  ] as const)
    assert.equal(plainHttpReach(origin), reach, origin);
});

test('a document says where a key would cross the internet unencrypted', () => {
  const severity = (baseurl: string): string | undefined =>
    parseGatewayDocument(`{"providers": {"p": {"baseurl": "${baseurl}", "models": ["m"]}}}`, {
      source: 'api',
    }).problems.find(({ code }) => code === 'plain_http')?.severity;
  assert.equal(severity('http://8.8.8.8/v1'), 'warning');
  assert.equal(severity('http://llm.example.com/v1'), 'note');
  assert.equal(severity('http://10.0.0.5:8000'), undefined);
  assert.equal(severity('https://llm.example.com'), undefined);
});
