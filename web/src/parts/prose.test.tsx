import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { Prose } from "./prose.tsx";

afterEach(cleanup);

const shown = (text: string) => render(<Prose text={text} />).container;

test.each([
  ["a script", "before <script>alert(1)</script> after"],
  ["a block of HTML", '<div onclick="alert(1)"><iframe src="https://example.com"></iframe></div>'],
  ["an image in HTML", '<img src="https://example.com/x" onerror="alert(1)">'],
  ["a form", '<form action="https://example.com"><input name="password"></form>'],
  ["a style", "<style>body { display: none }</style>"],
  ["a link to script", "[click](javascript:alert(1))"],
  ["a link to data", "[click](data:text/html;base64,PHNjcmlwdD4=)"],
  ["a link", "[click](https://example.com)"],
  ["an address that would be a link", "<https://example.com/?a=b>"],
  ["an image", "![seen](https://example.com/pixel.png)"],
  ["a reference", "[click][1]\n\n[1]: javascript:alert(1)"],
])("%s makes nothing that runs, loads or leads away", (_, text) => {
  const page = shown(text);
  expect(
    page.querySelector("script, style, iframe, img, form, input, a, [href], [src], [onclick], [onerror]"),
  ).toBeNull();
});

test("markup stays to be read as it was written, and where a link led too", () => {
  expect(shown("see <script>alert(1)</script>").textContent).toContain("<script>alert(1)</script>");
  cleanup();
  expect(shown("[the manual](https://example.com)").textContent).toBe("the manual (https://example.com)");
});

test("words, lists and code look as they are meant", () => {
  const page = shown("A **lane** keeps `order`.\n\n- one\n- two");
  expect(page.querySelector("strong")?.textContent).toBe("lane");
  expect(page.querySelector("code")?.textContent).toBe("order");
  expect(page.querySelectorAll("li")).toHaveLength(2);
});
