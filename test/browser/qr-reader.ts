/** Reads QR codes with a decoder that is not ours; it is a package of the console, which the browser suite needs anyway. */
import { createRequire } from 'node:module';

type Decode = (pixels: Uint8ClampedArray, width: number, height: number) => { readonly data: string } | null;

const consolePackages = createRequire(new URL('../../console/package.json', import.meta.url));
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- jsqr's own types, of another folder's packages
const decode = consolePackages('jsqr').default as Decode;

/** What a picture of RGBA pixels says; null where no code is found. */
export function readQr(pixels: Uint8ClampedArray, width: number): string | null {
  return decode(pixels, width, pixels.length / 4 / width)?.data ?? null;
}

/** Pixels to a module of a terminal's half-block. */
const SCALE = 4;

/** A code that a terminal with a dark ground shows, drawn in half-blocks; null where none is found. */
export function readTerminalQr(lines: readonly string[]): string | null {
  const columns = Math.max(...lines.map((line) => line.length));
  const width = columns * SCALE;
  const height = lines.length * 2 * SCALE;
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const row = Math.floor(y / SCALE);
      const char = lines[Math.floor(row / 2)]?.[Math.floor(x / SCALE)] ?? ' ';
      const isLit = char === '█' || char === (row % 2 === 0 ? '▀' : '▄');
      pixels.set([isLit ? 255 : 0, isLit ? 255 : 0, isLit ? 255 : 0, 255], (y * width + x) * 4);
    }
  return readQr(pixels, width);
}
