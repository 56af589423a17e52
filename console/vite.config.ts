/** How the console is built: hashed files below assets/, one script per route, compressed forms beside them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** What is smaller is not worth a second file. */
const COMPRESSED_MIN_BYTES = 1_024;

// oxlint-disable-next-line import/no-default-export -- the build tool asks for it
export default defineConfig({
  plugins: [react(), compressed()],
  // The server writes a fresh nonce in its place into every page that it sends.
  html: { cspNonce: 'POSTERN_NONCE' },
  build: {
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    // The polyfill would be an inline script; every browser with passkeys knows `modulepreload`.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
  },
});

/** Writes `.br` and `.gz` beside every file below assets/, so that the server never compresses. */
function compressed(): Plugin {
  return {
    name: 'postern-compressed',
    apply: 'build',
    writeBundle({ dir }) {
      const folder = join(dir ?? 'dist', 'assets');
      for (const name of readdirSync(folder)) {
        const whole = readFileSync(join(folder, name));
        if (whole.length < COMPRESSED_MIN_BYTES) continue;
        writeFileSync(join(folder, `${name}.gz`), gzipSync(whole, { level: 9 }));
        const params = {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: whole.length,
        };
        writeFileSync(join(folder, `${name}.br`), brotliCompressSync(whole, { params }));
      }
    },
  };
}
