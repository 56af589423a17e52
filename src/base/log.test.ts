import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from './log.ts';
import { Secret } from './secret.ts';

function logged(format: 'text' | 'json', fields: Readonly<Record<string, unknown>>): string {
  let text = '';
  const logger = createLogger({ format, now: () => 0, write: (line) => (text += line) });
  logger.info('a stranger', fields);
  return text;
}

const HOSTILE = 'x\n1970-01-01T00:00:00.000Z error forged\r\u001b[2J\u009b2J\u2028\u202eabc';

test('text of strangers forges no line and steers no terminal, in either format', () => {
  for (const format of ['text', 'json'] as const) {
    const line = logged(format, { name: HOSTILE });
    assert.equal(line.indexOf('\n'), line.length - 1, format);
    assert.ok(!line.includes('\u001b') && !line.includes('\r'), format);
  }
  assert.doesNotMatch(logged('text', { name: HOSTILE }).slice(0, -1), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
});

test('a secret prints as its mark, alone and inside an object', () => {
  const secret = new Secret('sk-very-secret');
  for (const format of ['text', 'json'] as const) {
    const line = logged(format, { secret, nested: { secret } });
    assert.ok(!line.includes('sk-very-secret') && line.includes('[secret]'), line);
  }
});
