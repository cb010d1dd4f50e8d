// `mock`: the built page against the mock of mock/, with the policy of the api. `shots`: pictures of every page, for eyes.
// What runs against the real thing is in playwright.stack.config.ts.

import { defineConfig } from "@playwright/test";
import { chromium } from "./browser/chromium.ts";

export default defineConfig({
  testDir: "browser",
  timeout: 90_000,
  expect: { timeout: 20_000 },
  workers: 1,
  forbidOnly: true,
  reporter: "list",
  // Workers read this file again, when the mock has said where it is.
  use: { baseURL: process.env.MOCK ?? "", launchOptions: chromium, trace: "retain-on-failure" },
  projects: [
    { name: "mock", testMatch: "mock/*.spec.ts" },
    { name: "shots", testMatch: "shots.spec.ts" },
  ],
  webServer: {
    command: "exec node_modules/.bin/vite preview --host 127.0.0.1",
    wait: { stdout: /Local:\s+(?<mock>http:\/\/[\d.:]+)/ },
  },
});
