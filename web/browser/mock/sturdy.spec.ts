// What must not leave a white page: a part that cannot be loaded, an address that cannot be read, an answer that is none.

import { expect, type Page } from "@playwright/test";
import { test } from "../story.ts";

const open = (page: Page, name: string) =>
  page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();

test("a part that cannot be loaded is told, and comes when it can be; nothing else breaks", async ({ page }) => {
  await page.goto("/ui/");
  await expect(page.getByRole("status").getByText("Live")).toBeVisible();
  const pages = { Ask: "ask", Chains: "chains", Health: "health" };
  for (const [name, file] of Object.entries(pages)) {
    await page.route(`**/assets/${file}-*.js`, (route) => route.abort());
    await open(page, name);
    await expect(page.getByRole("alert")).toContainText("could not be loaded");
    await page.goBack();
    await expect(page.getByRole("table")).toBeVisible();
    await open(page, name);
    await expect(page.getByRole("alert")).toContainText("could not be loaded");
    await page.unroute(`**/assets/${file}-*.js`);
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    await expect(page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
    await page.goBack();
  }
});

test("a release under an open page: it says so, and is loaded anew", async ({ page }) => {
  await page.goto("/ui/");
  await page.route("**/assets/chains-*.js", (route) => route.fulfill({ status: 404, body: "no such file" }));
  await page.route("**/ui/", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replaceAll(/assets\/index-[\w-]+\.js/g, "assets/index-later.js");
    await route.fulfill({ response: answer, body });
  });
  await open(page, "Chains");
  await expect(page.getByRole("alert")).toContainText("newer release");
  await page.unrouteAll();
  await page.getByRole("button", { name: "Load the page anew" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Chains" })).toBeVisible();
});

test("addresses that cannot be read, and answers that are none, give a message and a way on", async ({ page }) => {
  await page.goto("/ui/");
  for (const path of ["/ui/runs/%E0%A4%A", "/ui/chains/%", "/ui/runs/%FF"]) {
    // As a link that was cut off leads there.
    await page.evaluate((path) => {
      history.pushState(null, "", path);
      window.dispatchEvent(new PopStateEvent("popstate"));
    }, path);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("This address cannot be read");
  }
  const broken = { id: "odd", tenant: "default", turn: 0, status: "completed", chain: 5 };
  await page.route(
    (url) => url.pathname === "/runs/odd",
    (route) => route.fulfill({ json: broken }),
  );
  await page.goto("/ui/runs/odd");
  await expect(page.getByRole("alert")).toContainText("This page made a mistake");
  await open(page, "Chains");
  await expect(page.getByRole("heading", { level: 1, name: "Chains" })).toBeVisible();
});
