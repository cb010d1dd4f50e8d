// Stories against the real thing: `make demo` in a folder of its own, started before the first and ended after the last.

import { defineConfig } from "@playwright/test";
import { chromium } from "./browser/chromium.ts";

export default defineConfig({
  testDir: "browser",
  timeout: 90_000,
  expect: { timeout: 20_000 },
  workers: 1,
  forbidOnly: true,
  reporter: "list",
  use: { launchOptions: chromium, trace: "retain-on-failure" },
  projects: [{ name: "stack", testMatch: "stack/*.spec.ts" }],
  webServer: {
    command: "exec cargo run --quiet --package testkit --bin demo -- --folder .millrace/web-stories",
    cwd: "..",
    // It tells where it wrote how to reach everything; browser/stack/stack.ts reads that.
    wait: { stdout: /source (?<stack_env>\S+)/ },
    timeout: 180_000,
    gracefulShutdown: { signal: "SIGINT", timeout: 60_000 },
  },
});
