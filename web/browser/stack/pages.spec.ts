import { expect } from "@playwright/test";
import { isAccessible } from "../story.ts";
import { test } from "./stack.ts";

for (const [theme, rules] of [
  ["light", "everything"],
  ["dark", "contrast"],
] as const) {
  test(`every page can be read by everybody, ${theme}`, async ({ page, request }) => {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    const sent = await request.post("/runs", { data: { chain: "answer", input: { question: "What is a lane?" } } });
    const { id } = (await sent.json()) as { id: string };

    await page.goto("/ui/");
    await expect(page.getByRole("row").nth(3)).toBeVisible();
    await isAccessible(page, "live", rules);
    await page.keyboard.press("j");
    await isAccessible(page, "live, held", rules);
    await page.keyboard.press("?");
    await isAccessible(page, "keys", rules);

    await page.goto(`/ui/runs/${id}`);
    await expect(page.getByRole("region", { name: "Retrieved chunks" })).toBeVisible();
    await isAccessible(page, "run", rules);
    await page.getByText(/^What each of/).click();
    await isAccessible(page, "run, its steps", rules);
    const refund = { order: "A-1", amount: 70, reason: "It broke." };
    const asked = await request.post("/runs", { data: { chain: "refund-approval", input: refund } });
    await page.goto(`/ui/runs/${((await asked.json()) as { id: string }).id}`);
    await expect(page.getByRole("button", { name: "Approve" })).toBeVisible();
    await isAccessible(page, "a run that waits", rules);
    await page.goto("/ui/ask?chain=answer");
    await expect(page.getByLabel("question")).toBeVisible();
    await isAccessible(page, "ask", rules);
    await page.goto("/ui/chains");
    await expect(page.getByRole("link", { name: "summarize", exact: true })).toBeVisible();
    await isAccessible(page, "chains", rules);
    await page.goto("/ui/chains/answer");
    await expect(page.getByText("apiVersion")).toBeVisible();
    await isAccessible(page, "chain", rules);
    await page.goto("/ui/chains/triage");
    await expect(page.getByRole("list", { name: "Inside of steps" })).toContainText("outage");
    await isAccessible(page, "a chain with blocks", rules);
    await page.goto("/ui/health");
    await expect(page.getByText("watermark").first()).toBeVisible();
    await isAccessible(page, "health", rules);
    await page.goto("/ui/runs/nothing");
    await expect(page.getByRole("alert")).toBeVisible();
    await isAccessible(page, "no run", rules);
  });
}
