// The real thing, as the demo started it, and an api process of its own that a story may kill.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { expect } from "@playwright/test";
import type { Health } from "../../src/api/client.ts";
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
  /** None until it was started. */
  private listen: string | undefined;

  get url() {
    if (this.listen === undefined) throw new Error("the api was not started: it has no address yet");
    return `http://${this.listen}`;
  }

  async start(settings: Record<string, string> = {}) {
    if (this.listen !== undefined) return this.begin(this.listen, settings);
    // A port that is free when it is chosen may be another's when it is bound: then others are tried.
    for (let left = 5; ; left--) {
      const listen = `127.0.0.1:${await freePort()}`;
      try {
        await this.begin(listen, settings);
        this.listen = listen;
        return;
      } catch (error) {
        if (!String(error).includes("in use") || left === 0) throw error;
      }
    }
  }

  private async begin(listen: string, settings: Record<string, string>) {
    const root = resolve(import.meta.dirname, "../../..");
    const begun = spawn(`${root}/target/debug/millrace`, ["run", "--roles", "api"], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        MILLRACE_CONFIG: `${root}/processors/millrace/millrace.yaml`,
        MILLRACE_KAFKA__BOOTSTRAP_SERVERS: stack.KAFKA,
        MILLRACE_REGISTRY__URL: stack.REGISTRY,
        MILLRACE_POSTGRES__URL: stack.DATABASE_URL,
        MILLRACE_PINECONE__CONTROL_URL: stack.PINECONE,
        MILLRACE_API__LISTEN: listen,
        ...settings,
      },
    });
    this.process = begun;
    let said = "";
    begun.stderr.on("data", (text) => (said = `${said}${String(text)}`.slice(-4_000)));
    // Who answers may be another, who has the port.
    await expect
      .poll(
        async () => {
          if (begun.exitCode !== null) return `ended with ${begun.exitCode}: ${said}`;
          const ready = await fetch(`http://${listen}/readyz`).catch(() => undefined);
          if (!ready?.ok) return "not yet";
          const health = await fetch(`http://${listen}/health`).catch(() => undefined);
          const { instance } = ((await health?.json().catch(() => undefined)) ?? {}) as Partial<Health>;
          return instance?.pid === begun.pid ? "ready" : "not yet";
        },
        { timeout: 40_000 },
      )
      .not.toBe("not yet");
    if (begun.exitCode !== null) throw new Error(`the api ended with ${begun.exitCode}: ${said}`);
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export const test = base.extend<{ api: Api }>({
  baseURL: async ({}, provide) => provide(stack.API),
  api: async ({}, provide) => {
    const api = new Api();
    await provide(api);
    await api.kill();
  },
});
