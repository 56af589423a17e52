import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPooledRandom, systemRandom } from './random.ts';

test('no byte of the generator is handed out twice, whatever the sizes asked for', () => {
  let next = 0;
  const seen = new Set<number>();
  // Counts up in place of random bytes, so that a byte given twice shows.
  const random = createPooledRandom((target) => {
    const words = new Uint32Array(target.buffer, target.byteOffset, Math.floor(target.byteLength / 4));
    for (let i = 0; i < words.length; i += 1) words[i] = next++;
  });
  for (const size of [4, 8, 12, 400, 4, 512, 1024, 8]) {
    for (let round = 0; round < 50; round += 1) {
      const bytes = random.bytes(size);
      assert.equal(bytes.length, size);
      for (const word of new Uint32Array(bytes.buffer, bytes.byteOffset, size / 4)) {
        assert.equal(seen.has(word), false, `word ${word} was given twice`);
        seen.add(word);
      }
    }
  }
});

test('the system generator gives as many bytes as asked for, and other ones each time', () => {
  assert.equal(systemRandom.bytes(32).length, 32);
  assert.notDeepEqual(systemRandom.bytes(32), systemRandom.bytes(32));
});
