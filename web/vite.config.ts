import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";
import { mock } from "./mock/plugin.ts";

/** Bytes, compressed, until the first page is there. */
const FIRST_LOAD = 200 * 1024;

/** Writes .br and .gz next to everything that is worth it: the api serves them as they are. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      const names = readdirSync("dist", { recursive: true, encoding: "utf8" });
      for (const name of names.filter((name) => /\.(html|js|css|svg|txt)$/.test(name))) {
        const path = join("dist", name);
        const bytes = readFileSync(path);
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, quality));
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
      const named = readFileSync("dist/index.html", "utf8").matchAll(/assets\/[\w.-]+/g);
      const first = ["index.html", ...[...named].map(([name]) => name)];
      const size = first.reduce((sum, name) => sum + statSync(join("dist", `${name}.br`)).size, 0);
      if (size > FIRST_LOAD) {
        throw new Error(
          `The first load is ${size} bytes, more than ${FIRST_LOAD}: ${first.join(", ")}. Load a part later.`,
        );
      }
    },
  };
}

// With API=http://127.0.0.1:28080 the development server sends calls there; else a mock answers them.
const api = process.env.API;
const paths = ["/chains", "/runs", "/feed", "/stats", "/health", "/openapi.json", "/readyz"];

export default defineConfig({
  base: "/ui/",
  plugins: [react(), compressed(), ...(api ? [] : [mock()])],
  // A preload helper or a small file as a data: URL would need more than the policy of the page allows.
  // One file of styles: a page that is opened first looks as it does when it is opened last.
  build: { assetsInlineLimit: 0, cssCodeSplit: false, modulePreload: { polyfill: false } },
  server: api ? { proxy: Object.fromEntries(paths.map((path) => [path, { target: api, changeOrigin: true }])) } : {},
  test: {
    environment: "jsdom",
    // They start quicker than processes where others work too.
    pool: "threads",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test-setup.ts"],
    // Of a busy machine.
    testTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
