// Answers of a megabyte: what is drawn at once is bounded, whatever came. Milliseconds are told, not judged: a machine
// that others use has no fixed ones.

import { expect, type Page, type APIRequestContext } from "@playwright/test";
import { test } from "../story.ts";

const words = "- some **words** of `code`, and [a link](https://example.com) to *nobody*\n";
const large = {
  "880 KB of Markdown": { answer: words.repeat(12_000) },
  "a list of 40,000 texts": { answer: Array.from({ length: 40_000 }, (_, index) => `text ${index} of *many*`) },
  "a megabyte on one line": { answer: "word ".repeat(200_000) },
  "60,000 numbers": { numbers: Array.from({ length: 60_000 }, (_, index) => index * 1.25) },
};

async function begin(request: APIRequestContext, input: unknown): Promise<string> {
  const sent = await request.post("/runs", { data: { chain: "echo", input } });
  return ((await sent.json()) as { id: string }).id;
}

/** Opens the run from another page, so that only its own work is measured. */
async function longest(page: Page, id: string): Promise<number> {
  await page.goto("/ui/runs/nothing");
  await expect(page.getByRole("alert")).toBeVisible();
  await page.evaluate(() => {
    const seen = globalThis as unknown as { longest: number };
    seen.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
    }).observe({ entryTypes: ["longtask"] });
  });
  await page.evaluate((path) => {
    history.pushState(null, "", path);
    window.dispatchEvent(new PopStateEvent("popstate"));
  }, `/ui/runs/${id}`);
  await expect(page.getByRole("region", { name: "Output" })).toBeVisible();
  await page.waitForTimeout(1_000);
  return page.evaluate(() => (globalThis as unknown as { longest: number }).longest);
}

for (const [name, input] of Object.entries(large)) {
  test(`${name}: little of it is drawn until all is asked for`, async ({ page, request }) => {
    const id = await begin(request, input);
    const ms = await longest(page, id);
    const output = page.getByRole("region", { name: "Output" });
    await expect(output).toContainText("characters");
    const text = async () => (await output.innerText()).length;
    expect(await text()).toBeLessThan(60_000);
    expect(await page.evaluate(() => document.querySelectorAll("*").length)).toBeLessThan(2_000);
    const began = Date.now();
    await output.getByRole("button", { name: "Show all" }).click();
    await expect.poll(() => output.locator(".block").count()).toBeGreaterThan(50);
    console.log(`${name}: longest task ${ms.toFixed(0)} ms; all of it after ${Date.now() - began} ms`);
  });
}

test("Markdown that is made to be slow, or nested beyond all measure, is text at last", async ({ page, request }) => {
  for (const [index, answer] of ["[".repeat(19_000), ">".repeat(19_000), "*a_".repeat(6_000)].entries()) {
    const id = await begin(request, { answer: `${answer} end ${index}` });
    await page.goto(`/ui/runs/${id}`);
    await expect(page.getByRole("region", { name: "Output" })).toContainText(`end ${index}`);
    await expect(page.getByRole("heading", { name: "Records" })).toBeVisible();
  }
});
