/** Bytes that follow from the seed and repeat in no short period. */
export function pattern(bytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = seed | 1;
  for (let index = 0; index < bytes; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    buffer[index] = state >>> 24;
  }
  return buffer;
}
