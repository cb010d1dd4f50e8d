// `mock`: the built page against the mock of mock/, with the policy of the api. `stack`: against what runs at $API.
// `shots`: pictures of every page, for eyes.

import { defineConfig } from "@playwright/test";

const api = process.env.API;
const mock = "http://127.0.0.1:4173";

export default defineConfig({
  testDir: "browser",
  timeout: 60_000,
  expect: { timeout: 15_000 },
  workers: 1,
  forbidOnly: true,
  reporter: "list",
  use: {
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"].concat(
        ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--js-flags=--expose-gc"],
        ["--enable-precise-memory-info"],
      ),
    },
    trace: "retain-on-failure",
  },
  projects: [
    { name: "mock", testMatch: "mock/*.spec.ts", use: { baseURL: mock } },
    { name: "stack", testMatch: "stack/*.spec.ts", use: { baseURL: api ?? "http://127.0.0.1:28080" } },
    { name: "shots", testMatch: "shots.spec.ts", use: { baseURL: mock } },
  ],
  ...(api
    ? {}
    : {
        webServer: {
          command: "npx vite preview --host 127.0.0.1 --port 4173 --strictPort",
          url: `${mock}/ui/`,
          reuseExistingServer: false,
        },
      }),
});
