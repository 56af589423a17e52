import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../base/log.ts';
import { createStrangerLog } from './stranger-log.ts';

test('a flood of strangers makes few lines and one count', () => {
  const lines: string[] = [];
  let now = 0;
  const logger = {
    ...silentLogger,
    info: () => void lines.push('line'),
    warn: (_: string, fields: object = {}) => void lines.push(JSON.stringify(fields)),
  };
  const refused = createStrangerLog(logger, { monotonicMs: () => now });
  for (let i = 0; i < 1000; i += 1) refused({});
  assert.equal(lines.length, 20);
  now = 1000;
  refused({});
  assert.deepEqual(lines.slice(20), ['{"count":980}', 'line']);
});
