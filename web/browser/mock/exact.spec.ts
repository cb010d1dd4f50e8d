// Numbers that no double holds, from the address bar to the byte that leaves the browser.

import { expect, type Page } from "@playwright/test";
import { test } from "../story.ts";

const INPUT = '{"id":1795292668348461057,"rate":0.10000000000000000001,"one":1.0,"far":1e999}';

test.use({ permissions: ["clipboard-read", "clipboard-write"] });

/** What the page posts next, to the byte. */
const posted = async (page: Page, path: RegExp, act: () => Promise<unknown>) => {
  const [request] = await Promise.all([
    page.waitForRequest((request) => request.method() === "POST" && path.test(request.url())),
    act(),
  ]);
  return request.postData() ?? "";
};
const copied = (page: Page) => page.evaluate(() => navigator.clipboard.readText());

test("numbers stay as they are written: shown, copied, run again, changed, asked and approved", async ({ page }) => {
  // Asked as JSON, so that the page is the first who could round.
  await page.goto("/ui/ask?chain=echo");
  await page.getByLabel("Input, as JSON").fill(INPUT);
  await page.getByRole("textbox", { name: "Key" }).fill("customer-7");
  const asked = await posted(page, /\/runs$/, () => page.getByRole("button", { name: "Send" }).click());
  expect(asked).toBe(`{"chain":"echo","input":${INPUT},"key":"customer-7"}`);
  await expect(page.getByRole("region", { name: "Output" })).toContainText("1795292668348461057");
  await page.getByRole("link", { name: "Open the run" }).click();

  for (const name of ["Input", "Output"]) {
    const value = page.getByRole("region", { name, exact: true });
    for (const text of ["1795292668348461057", "0.10000000000000000001", "1.0", "1e999"])
      await expect(value).toContainText(text);
    await value.getByRole("button", { name: `Copy ${name.toLowerCase()}` }).click();
    expect((await copied(page)).replaceAll(/\s/g, "")).toBe(INPUT);
  }
  await page.keyboard.press("c");
  await expect.poll(() => copied(page)).toContain(`-d '{"input":${INPUT}}'`);
  await page.getByText("The run as the api gives it").click();
  await expect(page.getByRole("region", { name: "Records" })).toContainText("1795292668348461057");
  await page.getByRole("button", { name: "Request", exact: true }).click();
  await expect(page.getByRole("region", { name: "Value of the record" })).toContainText("0.10000000000000000001");

  const id = page.url().split("/").at(-1) ?? "";
  await page.keyboard.press("r");
  const dialog = page.getByRole("dialog", { name: "Run this again?" });
  await expect(dialog).toContainText("customer-7");
  const again = await posted(page, /\/runs$/, () => dialog.getByRole("button", { name: "Run again" }).click());
  expect(again).toContain(`"input":${INPUT},"key":"customer-7","metadata":{"again_of":"${id}"}`);
  await expect(page.getByRole("link", { name: id.slice(0, 13) })).toHaveAttribute("href", `/ui/runs/${id}`);

  await page.getByRole("link", { name: "Change and run" }).click();
  await expect(page.getByRole("textbox", { name: "Key" })).toHaveValue("customer-7");
  await expect(page.getByLabel("Input, as JSON")).toHaveValue(/1795292668348461057/);
  const changed = await posted(page, /\/runs$/, () => page.getByRole("button", { name: "Send" }).click());
  expect(changed).toContain(`"input":${INPUT},"key":"customer-7"`);
});

test("a decision is approved to the digit, as it was or as somebody changed it", async ({ page, request }) => {
  const begin = async () => {
    const data = { chain: "answer", input: { question: "approve: may it?" } };
    const { id } = (await (await request.post("/runs", { data })).json()) as { id: string };
    await page.goto(`/ui/runs/${id}`);
    return page.getByRole("region", { name: "Decision: approval" });
  };
  const value = '{"amount":70.10,"account":1795292668348461057}';
  let question = await begin();
  await expect(question).toContainText("1795292668348461057");
  const approve = () => question.getByRole("button", { name: "Approve" }).click();
  const same = await posted(page, /\/resume$/, approve);
  expect(same).toBe(`{"decisions":{"approval":{"approved":true,"value":${value}}}}`);
  question = await begin();
  await question.getByLabel(/^Value/).fill('{"amount": 0.30000000000000000001, "account": 1795292668348461059}');
  const other = await posted(page, /\/resume$/, approve);
  expect(other).toContain('"value":{"amount":0.30000000000000000001,"account":1795292668348461059}');
});

test("r asks before it pays, however often it is pressed", async ({ page, request }) => {
  const data = { chain: "answer", input: { question: "Why?" }, config: { configurable: { tone: 1.0 } } };
  const { id } = (await (await request.post("/runs", { data })).json()) as { id: string };
  const posts: string[] = [];
  page.on("request", (request) => request.method() === "POST" && posts.push(request.postData() ?? ""));
  await page.goto(`/ui/runs/${id}`);
  await expect(page.getByRole("heading", { level: 1 }).getByText("Completed")).toBeVisible();
  for (let press = 0; press < 5; press++) await page.keyboard.press("r");
  const dialog = page.getByRole("dialog", { name: "Run this again?" });
  await expect(dialog).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  expect(posts).toEqual([]);
  await page.keyboard.press("r");
  await expect(dialog).toContainText('{"tone":1}');
  await page.keyboard.press("Enter");
  await expect(page).not.toHaveURL(new RegExp(id));
  expect(posts).toHaveLength(1);
  expect(posts[0]).toContain('"config":{"configurable":{"tone":1}}');
});

test("change and run keeps what the form does not know; mistakes stand at their fields", async ({ page, request }) => {
  const input = '{"qestion":"What is a lane?","id":1795292668348461057}';
  const sent = await request.post("/runs", {
    headers: { "content-type": "application/json" },
    data: `{"chain":"summarize","input":{"text":"long","deep":${input}},"key":"k-9"}`,
  });
  const { id } = (await sent.json()) as { id: string };
  await page.goto(`/ui/ask?chain=answer&from=${id}`);
  const others = page.getByLabel("Other members");
  await expect(others).toHaveValue(new RegExp(`"deep":${input.replaceAll("?", "\\?")}`));
  const question = page.getByLabel("question");
  await expect(question).toHaveAttribute("aria-required", "true");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(question).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByText('"question" is a required property').first()).toBeVisible();

  await question.fill("What is a lane?");
  const body = await posted(page, /\/runs$/, () => page.getByRole("button", { name: "Send" }).click());
  expect(body).toContain(`"input":{"question":"What is a lane?","text":"long","deep":${input}},"key":"k-9"`);
  expect(body).toContain(`"again_of":"${id}"`);
});
