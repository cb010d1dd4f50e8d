// The real thing, as the demo started it, and an api process of its own that a story may kill.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { expect } from "@playwright/test";
import { test as base } from "../story.ts";

type Stack = { API: string; KAFKA: string; REGISTRY: string; DATABASE_URL: string; PINECONE: string };

export const stack: Stack = Object.fromEntries(
  readFileSync(process.env.STACK_ENV ?? "", "utf8")
    .trim()
    .replace(/^export /, "")
    .split(" ")
    .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
) as Stack;

/** One process with the role `api` only, on a port that stays its own when it is started again. */
export class Api {
  private process: ChildProcess | undefined;
  private constructor(readonly listen: string) {}

  static async make(): Promise<Api> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    return new Api(`127.0.0.1:${port}`);
  }

  get url() {
    return `http://${this.listen}`;
  }

  async start(settings: Record<string, string> = {}) {
    const root = resolve(import.meta.dirname, "../../..");
    this.process = spawn(`${root}/target/debug/millrace`, ["run", "--roles", "api"], {
      cwd: root,
      stdio: "ignore",
      env: {
        ...process.env,
        MILLRACE_CONFIG: `${root}/processors/millrace/millrace.yaml`,
        MILLRACE_KAFKA__BOOTSTRAP_SERVERS: stack.KAFKA,
        MILLRACE_REGISTRY__URL: stack.REGISTRY,
        MILLRACE_POSTGRES__URL: stack.DATABASE_URL,
        MILLRACE_PINECONE__CONTROL_URL: stack.PINECONE,
        MILLRACE_API__LISTEN: this.listen,
        ...settings,
      },
    });
    await expect
      .poll(
        () =>
          fetch(`${this.url}/readyz`).then(
            ({ ok }) => ok,
            () => false,
          ),
        { timeout: 40_000 },
      ) // prettier-ignore
      .toBe(true);
  }

  /** MiB that are in memory, as Linux counts them. */
  memory(): number {
    const status = readFileSync(`/proc/${this.process?.pid ?? "self"}/status`, "utf8");
    return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
  }

  /** Without a goodbye. */
  async kill() {
    const ended = this.process;
    this.process = undefined;
    if (!ended || ended.exitCode !== null) return;
    const exit = once(ended, "exit");
    ended.kill("SIGKILL");
    await exit;
  }
}

export const test = base.extend<{ api: Api }>({
  baseURL: async ({}, provide) => provide(stack.API),
  api: async ({}, provide) => {
    const api = await Api.make();
    await provide(api);
    await api.kill();
  },
});
