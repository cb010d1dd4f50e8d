import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { follow, type Link } from "./follow.ts";

const answers: (() => Response)[] = [];
const asked: (string | null)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  answers.length = asked.length = 0;
  vi.stubGlobal("fetch", (_: string, init: { headers: Record<string, string> }) => {
    asked.push(init.headers["last-event-id"] ?? null);
    const next = answers.shift();
    return next ? Promise.resolve(next()) : Promise.reject(new TypeError("refused"));
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const stream = (text: string) => () => new Response(text, { headers: { "content-type": "text/event-stream" } });

test("it goes on after the last id, whatever came between", async () => {
  answers.push(stream('id: 7\nevent: result\ndata: {"a":1}\n\n'), stream("id: 8\nevent: end\ndata: {}\n\n"));
  const events: string[] = [];
  const links: Link["is"][] = [];
  const done = follow(
    "/feed",
    { event: (name) => events.push(name), link: ({ is }) => links.push(is), last: (name) => name === "end" },
    new AbortController().signal,
  );
  await vi.runAllTimersAsync();
  await done;
  expect(asked).toEqual([null, "7"]);
  expect(events).toEqual(["result", "end"]);
  expect(links).toEqual(["connecting", "open", "waiting", "connecting", "open", "ended"]);
});

test("a refusal is final, and says why; what is only away is tried again", async () => {
  const problem = { title: "No such run", detail: "Look at /runs.", retryable: false };
  answers.push(
    () => new Response("{}", { status: 503 }),
    () => new Response(JSON.stringify(problem), { status: 404 }),
  );
  const links: Link[] = [];
  const done = follow("/runs/x/events", { event: () => {}, link: (link) => links.push(link) }, forever());
  await vi.runAllTimersAsync();
  await done;
  expect(links.map(({ is }) => is)).toEqual(["connecting", "waiting", "connecting", "refused"]);
  expect(links.at(-1)).toMatchObject({ problem: { title: "No such run", message: "Look at /runs." } });
});

test("it waits longer each time, and never long", async () => {
  const stopping = new AbortController();
  const waits: number[] = [];
  void follow(
    "/feed",
    { event: () => {}, link: (link) => link.is === "waiting" && waits.push(link.until - Date.now()) },
    stopping.signal,
  );
  await vi.advanceTimersByTimeAsync(60_000);
  stopping.abort();
  expect(waits[0]).toBeLessThan(1_000);
  expect(waits.length).toBeGreaterThan(6);
  expect(Math.max(...waits)).toBeLessThan(11_000);
});

const forever = () => new AbortController().signal;
