import { expect } from "@playwright/test";
import { createParser } from "eventsource-parser";
import { Wire } from "./stall.ts";
import { stack, test } from "./stack.ts";

const RESULTS = 3_000;

test("a browser that reads no more: the api's memory stays flat, others miss nothing, and the page tells the gap", async ({
  page,
  api,
}) => {
  test.setTimeout(240_000);
  await api.start({ MILLRACE_API__RING_RESULTS: "800" });
  const wire = await Wire.to(api.url);
  const story = `stall-${Date.now()}`;
  const other = await reader(api.url, story);

  await page.goto(`${wire.url}/ui/?q=${story}`);
  await expect(page.getByRole("status").getByText("Live")).toBeVisible();
  await send(story, 0, 200);
  await expect.poll(() => other.results, { timeout: 60_000 }).toBe(200);
  await expect(page.getByRole("table")).toHaveAttribute("aria-rowcount", "201");

  expect(wire.stall()).toBe(1);
  const before = api.memory();
  const began = Date.now();
  await send(story, 200, RESULTS);
  await expect.poll(() => other.results, { timeout: 120_000 }).toBe(RESULTS);
  const after = api.memory();
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  wire.resume();

  const gap = page.locator(".row.gap");
  await expect(gap).toContainText(/^\s*[\d,]+ results? not shown/);
  const missed = Number((await gap.innerText()).replace(/\D/g, ""));
  await send(story, RESULTS, RESULTS + 1);
  await expect(page.getByRole("row").nth(1)).toContainText(`${story} ${RESULTS}`);
  console.log(`${missed} of ${RESULTS} missed in ${seconds} s; the api held ${before} MiB before, ${after} MiB after`);
  expect(missed).toBeGreaterThan(100);
  expect(after - before).toBeLessThan(24);
  expect(other.gaps).toBe(0);
  other.stop();
  wire.close();
});

/** Results of echo whose keys are long, so that few of them fill what kernels buffer. */
async function send(story: string, from: number, to: number) {
  let next = from;
  const worker = async () => {
    while (next < to) {
      const number = next++;
      const body = {
        chain: "echo",
        input: { said: `${story} ${number}` },
        key: `${story}-${number}-`.padEnd(900, "x"),
      };
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${stack.API}/runs`, { method: "POST", headers, body: JSON.stringify(body) });
      expect(answer.status).toBe(202);
      await answer.body?.cancel();
    }
  };
  await Promise.all(Array.from({ length: 24 }, worker));
}

/** Someone else on the same feed, who keeps up. */
async function reader(api: string, story: string) {
  const seen = { results: 0, gaps: 0, stop: () => stopping.abort() };
  const stopping = new AbortController();
  const answer = await fetch(`${api}/feed`, { signal: stopping.signal });
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (event === "gap") seen.gaps += 1;
      if (event === "result" && data.includes(story)) seen.results += 1;
    },
  });
  const read = async () => {
    for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) parser.feed(text);
  };
  read().catch(() => {});
  return seen;
}
