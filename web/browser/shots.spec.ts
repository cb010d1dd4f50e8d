// Pictures of every page, in both themes and two widths, under shots/.

import { expect, test } from "@playwright/test";
import { order } from "./mock/order.ts";

for (const theme of ["light", "dark"] as const) {
  for (const width of [1280, 400]) {
    test(`${theme} ${width}`, async ({ page, request }) => {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 820 });
      const shoot = (name: string, fullPage = true) =>
        page.screenshot({ path: `shots/${name}-${theme}-${width}.png`, fullPage });
      await order(request, { fill: 4_000, rate: 12 });
      const began = async (question: string, chain = "answer") =>
        ((await order(request, { begin: { chain, input: { question } } })) as { id: string }).id;
      const good = await began("retry: What is a lane?");
      const bad = await began("fail: What is a lane?");
      const dead = await began("What is a lane?", "nobody");

      await page.goto("/ui/");
      await expect(page.getByRole("row").nth(5)).toBeVisible();
      await page.waitForTimeout(3_000);
      await shoot("live", false);
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      await page.waitForTimeout(800);
      await shoot("live-held", false);
      await page.keyboard.press("?");
      await shoot("keys", false);

      for (const [name, id] of Object.entries({ run: good, "run-failed": bad, "run-dead": dead })) {
        await page.goto(`/ui/runs/${id}`);
        await expect(page.getByRole("heading", { name: "Records" })).toBeVisible();
        await page.waitForTimeout(500);
        await shoot(name);
        for (const record of ["Request", "Result"])
          await page.getByRole("button", { name: record, exact: true }).click();
        await expect(page.getByText("millrace.Result", { exact: true })).toBeVisible();
        await page
          .getByRole("region", { name: "Records" })
          .screenshot({ path: `shots/records-${name}-${theme}-${width}.png` });
      }
      const waits = await began("approve: What is a lane?");
      await page.goto(`/ui/runs/${waits}`);
      await expect(page.getByRole("button", { name: "Approve" })).toBeVisible();
      await shoot("run-waits");
      await page.getByRole("button", { name: "Approve" }).click();
      await expect(page.getByText("A lane is what must stay")).toBeVisible();
      await page.getByText("What each of").click();
      await shoot("run-resumed");
      const slow = await began("slow: What is a lane?");
      await page.goto(`/ui/runs/${slow}`);
      await page.waitForTimeout(1_700);
      await shoot("run-live");
      await page.goto("/ui/ask?chain=answer");
      await page.getByLabel("question").fill("retry: What is a lane?");
      await shoot("ask");
      await page.getByRole("button", { name: "Send" }).click();
      await expect(page.getByRole("region", { name: "Events" }).getByRole("heading")).toHaveText("Completed");
      await page.waitForTimeout(500);
      await shoot("ask-sent");
      await page.goto("/ui/chains");
      await expect(page.getByRole("link", { name: "summarize", exact: true })).toBeVisible();
      await page.waitForTimeout(500);
      await shoot("chains");
      await page.goto("/ui/chains/answer");
      await expect(page.getByText("apiVersion")).toBeVisible();
      await page.waitForTimeout(500);
      await shoot("chain");
      await page.goto("/ui/health");
      await expect(page.getByText("watermark").first()).toBeVisible();
      await shoot("health");
      await page.goto("/ui/runs/nothing");
      await expect(page.getByRole("alert")).toBeVisible();
      await shoot("no-run", false);
    });
  }
}

test("empty and away", async ({ page, request }) => {
  await page.setViewportSize({ width: 1280, height: 820 });
  // A stream that is open, and on which nothing comes.
  await page.addInitScript(() => {
    Reflect.deleteProperty(globalThis, "SharedWorker");
    const real = globalThis.fetch;
    const ready = new TextEncoder().encode("id: 0\nevent: ready\ndata: {}\n\n");
    const quiet = () => new Response(new ReadableStream({ start: (stream) => stream.enqueue(ready) }));
    globalThis.fetch = (input, init) =>
      String(input).startsWith("/feed") && location.hash === "#empty" ? Promise.resolve(quiet()) : real(input, init);
  });
  await page.goto("/ui/#empty");
  await page.waitForTimeout(600);
  await page.screenshot({ path: "shots/live-empty.png" });
  await page.goto("about:blank");
  await order(request, { fill: 100 });
  await page.goto("/ui/");
  await expect(page.getByRole("row").nth(5)).toBeVisible();
  await order(request, { down: true });
  await expect(page.getByText("Reconnecting")).toBeVisible();
  await page.screenshot({ path: "shots/live-away.png" });
  await page.goto("/ui/health");
  await expect(page.getByRole("alert")).toBeVisible();
  await page.screenshot({ path: "shots/health-away.png" });
  await order(request, { down: false });
});
