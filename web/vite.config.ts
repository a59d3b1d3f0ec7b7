import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

// In the page itself, so that it holds behind every server. What a page cannot say of itself (frame-ancestors) is a header.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "require-trusted-types-for 'script'",
  'trusted-types svelte-trusted-html',
].join('; ');

// Not while developing: Vite's own client needs inline styles.
const contentSecurityPolicy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
  ],
};

export default defineConfig({
  plugins: [svelte(), contentSecurityPolicy],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // The licenses of what is built in.
    license: { fileName: 'LICENSES.md' },
    rollupOptions: {
      output: {
        // What loads at once is one file: several small ones compress worse.
        codeSplitting: { groups: [{ name: 'index', tags: ['$initial'] }] },
        entryFileNames: 'assets/[name]-[hash].js',
        // The servers accept no further dot in these names.
        chunkFileNames: ({ name }) => `assets/${name.replaceAll('.', '-')}-[hash].js`,
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080' } },
});
