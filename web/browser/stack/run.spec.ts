import { expect } from "@playwright/test";
import { test } from "./stack.ts";

test("a question, from the form to its row, its run and its waterfall", async ({ page }) => {
  await page.goto("/ui/");
  await expect(page.getByRole("status").getByText("Live")).toBeVisible();
  await expect(page.getByRole("row").nth(3)).toBeVisible();

  await page.getByRole("navigation").getByRole("link", { name: "Ask" }).click();
  await page.getByLabel("Chain").selectOption("answer");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("alert")).toContainText("question");
  await expect(page.getByLabel("question")).toHaveAttribute("aria-invalid", "true");

  await page.getByLabel("question").fill("What is a lane?");
  await page.getByRole("textbox", { name: "Key" }).fill("a-reader");
  await page.getByRole("button", { name: "Send" }).click();
  const latest = page.getByRole("region", { name: "Latest results" });
  await expect(latest.getByText("yours:")).toBeVisible();
  await expect(page.getByRole("region", { name: "Events" }).getByRole("heading")).toHaveText("Completed");
  await page.getByRole("link", { name: "Open the run" }).click();

  await expect(page).toHaveURL(/\/ui\/runs\/[0-9a-f-]{36}$/);
  const id = page.url().split("/").at(-1) ?? "";
  const steps = page.getByRole("region", { name: "Steps" });
  await expect(steps.getByRole("img")).not.toHaveCount(1);
  await steps.getByRole("button", { name: "answer" }).click();
  await expect(steps.getByText("Audit record", { exact: true })).toBeVisible();
  await expect(page.getByRole("region", { name: "Retrieved chunks" }).getByRole("meter").first()).toBeVisible();
  const records = page.getByRole("region", { name: "Records" });
  await expect(records.getByRole("cell", { name: "Result", exact: true })).toBeVisible();
  await expect(records.getByRole("cell", { name: "Audit of the run", exact: true })).toBeVisible();
  await expect(page.getByText("Trace", { exact: true })).toBeVisible();
  await records.getByRole("button", { name: "Result", exact: true }).click();
  await expect(records.getByRole("region", { name: "Value of the record" })).toContainText(id);

  await page.goto("/ui/?key=a-reader");
  await expect(page.locator(`a[href="/ui/runs/${id}"]`)).toBeVisible();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/ui/runs/${id}$`));

  await expect(page.getByRole("button", { name: "Run again" })).toBeEnabled();
  await page.keyboard.press("r");
  await expect(page.getByRole("dialog", { name: "Run this again?" })).toContainText("a-reader");
  await page.keyboard.press("Enter");
  await expect(page).not.toHaveURL(new RegExp(id));
  await expect(page.getByRole("heading", { level: 1 }).getByText("Completed")).toBeVisible();
});

test("a request that cannot run shows why, and the record as it came", async ({ page }) => {
  // The demo sends one soon: a field of its input is misspelt.
  await page.goto("/ui/?status=failed");
  await page.getByRole("row").nth(1).getByRole("link").click();
  await expect(page.getByRole("region", { name: "Error" })).toContainText("question");
  await expect(page.getByRole("region", { name: "Dead letter" })).toContainText("qestion");
});

test("a refund waits for somebody, who gives back less", async ({ page }) => {
  await page.goto("/ui/ask?chain=refund-approval");
  await page.getByRole("textbox", { name: "order", exact: true }).fill("A-1");
  await page.getByLabel("amount").fill("70");
  await page.getByLabel("reason").fill("The cup broke on the first day.");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(page.getByRole("region", { name: "Events" }).getByRole("heading")).toHaveText("Interrupted");
  await page.getByRole("link", { name: "Open the run" }).click();

  const question = page.getByRole("region", { name: "Decision: approval" });
  await expect(question).toContainText("Give back 70 for order A-1?");
  await question.getByLabel(/^Value/).fill('{"amount": 35}');
  await question.getByLabel("Comment").fill("half of it");
  await question.getByRole("button", { name: "Approve" }).click();

  await expect(page.getByRole("heading", { level: 1 }).getByText("Completed")).toBeVisible();
  await expect(page.getByRole("region", { name: "Output" })).toContainText("35");
  const steps = page.getByRole("region", { name: "Steps" });
  await steps.getByText(/^What each of/).click();
  await expect(steps.getByRole("row", { name: /summary chat kept/ })).toBeVisible();
  await expect(steps.getByText("1 paid call of turn 0")).toBeVisible();
});
