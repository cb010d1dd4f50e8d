// What the page says of how things are: of all results, of now, and nothing that is not so.

import { expect } from "@playwright/test";
import type { Health, Stats } from "../../src/api/client.ts";
import { isAccessible, test } from "../story.ts";
import { order } from "./order.ts";

test("figures are of all results, not of the thousand that a fresh page has", async ({ page, request }) => {
  await order(request, { fill: 12_000 });
  const { total } = (await (await request.get("/stats?minutes=5&every=2")).json()) as Stats;
  expect(total.results).toBeGreaterThan(10_000);
  await page.goto("/ui/");
  await expect(page.getByRole("table")).toHaveAttribute("aria-rowcount", /^1\d\d\d$/);
  const charts = page.getByRole("region", { name: "The last five minutes" });
  const told = async () =>
    Number(/([\d,]+) in the last 5 min/.exec(await charts.innerText())?.[1]?.replaceAll(",", ""));
  await expect.poll(told).toBeGreaterThan(10_000);
});

test("a run that waits for a decision is not a failed one", async ({ page, request }) => {
  const chain = "triage";
  const counted = async () => {
    const { chains } = (await (await request.get("/stats?minutes=60&every=60")).json()) as Stats;
    return chains.find((of) => of.chain === "triage@1");
  };
  const before = await counted();
  for (let run = 0; run < 3; run++) await order(request, { begin: { chain, input: { message: "approve: this" } } });
  await expect.poll(async () => (await counted())?.waiting).toBe((before?.waiting ?? 0) + 3);
  await page.goto("/ui/chains");
  const row = page.getByRole("row", { name: /^triage / });
  await expect(row.getByRole("cell").nth(4)).toHaveText(/^\d+$/);
  const waiting = Number(await row.getByRole("cell").nth(4).innerText());
  expect(waiting).toBeGreaterThanOrEqual(3);
  await page.goto("/ui/?chain=triage@1");
  await expect(page.getByRole("region", { name: "The last five minutes" })).toContainText(/Waiting \d+/);
  if (!before?.errors) await expect(row.getByRole("cell").nth(3)).toHaveText("0%");
});

test("a step that failed is red where it is drawn, though each of its calls went well", async ({ page, request }) => {
  const { id } = (await order(request, { begin: { chain: "answer", input: { question: "invalid" } } })) as {
    id: string;
  };
  await page.goto(`/ui/runs/${id}`);
  const steps = page.getByRole("region", { name: "Steps" });
  const calls = steps.locator(".attempt", { has: page.getByRole("button", { name: "answer" }) });
  await expect(calls).toHaveCount(2);
  await expect(calls.nth(1)).toContainText("retry 1");
  await expect(calls.nth(1)).toContainText("invalid_output");
  await expect(calls.nth(1).locator(".is-failed").first()).toBeVisible();
  await expect(calls.nth(0).locator(".is-failed")).toHaveCount(0);
});

test("a dead letter offers nothing that does not exist", async ({ page, request }) => {
  const { id } = (await order(request, { begin: { chain: "nobody", input: { question: "?" } } })) as { id: string };
  await page.goto(`/ui/runs/${id}`);
  const letter = page.getByRole("region", { name: "Dead letter" });
  await expect(letter.getByRole("button", { name: "Copy kcat command" })).toBeVisible();
  await expect(page.getByText("replay")).toHaveCount(0);
});

test("health is not well with a stale answer, nor with records in quarantine", async ({ page, request }) => {
  await page.route(
    (url) => url.pathname === "/health",
    async (route) => {
      const answer = await route.fetch().catch(() => undefined);
      if (!answer) return route.abort();
      const health = (await answer.json()) as Health;
      await route.fulfill({
        response: answer,
        json: { ...health, status: health.unrecorded?.quarantined ? "degraded" : "ok" },
      });
    },
  );
  await page.goto("/ui/health");
  const overall = page.locator(".overall");
  await expect(overall).toHaveText("All is well");
  await order(request, { quarantined: 49 });
  await expect(overall).toHaveText("Records are missing in their tables");
  await expect(page.getByRole("row", { name: /^Records in quarantine/ })).toContainText("49");
  await isAccessible(page, "health, quarantine");
  await order(request, { quarantined: 0 });
  await expect(overall).toHaveText("All is well");

  await order(request, { down: true });
  await expect(overall).toHaveText("How it is now is not known");
  await expect(page.getByRole("alert")).toContainText("The api is away");
  await order(request, { down: false });
  await expect(overall).toHaveText("All is well");
});
