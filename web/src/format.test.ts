import { expect, test } from "vitest";
import {
  ago,
  chainDigest,
  chainName,
  duration,
  money,
  percent,
  perSecond,
  quoted,
  readable,
  short,
  textIn,
} from "./format.ts";

test("money has two significant digits at least, five decimals for what a call costs, and never an exponent", () => {
  expect([0, 1, 1_200, 120_000, 900_000, 12_345_678, 1_500_000_000, -5_000_000_000].map(money)).toEqual(
    ["$0", "$0.000000001", "$0.0000012", "$0.00012", "$0.00090", "$0.012", "$1.50", "−$5.00"], // prettier-ignore
  );
});

test("a duration is in the unit that needs the fewest digits", () => {
  expect([7, 1_500, 12_345, 999_499, 1_234_000, 75_000_000, 3_700_000_000, 90_000_000_000].map(duration)).toEqual([
    "7 µs",
    "1.5 ms",
    "12 ms",
    "999 ms",
    "1.23 s",
    "75.0 s",
    "1 h 1 min",
    "1 d 1 h",
  ]);
});

test("shares and rates stay short", () => {
  expect([percent(0, 0), percent(0, 5), percent(1, 10_000), percent(1, 30), percent(1, 2)]).toEqual(
    ["–", "0%", "< 0.1%", "3.3%", "50%"], // prettier-ignore
  );
  expect([perSecond(0), perSecond(0.5), perSecond(12.34), perSecond(199.6)]).toEqual(["0", "0.5", "12.3", "200"]);
  expect([short(940), short(9_400), short(94_000), short(1_200_000)]).toEqual(["940", "9.4k", "94k", "1.2M"]);
});

test("the past, chains, values and words for a shell", () => {
  const now = Date.parse("2026-03-01T09:00:00Z");
  expect([1, 30, 90, 7_200, 200_000].map((seconds) => ago(now - seconds * 1000, now))).toEqual([
    "just now",
    "30 s ago",
    "1 min ago",
    "2 h ago",
    "2 d ago",
  ]);
  expect([chainName("answer@1#ab"), chainDigest("answer@1#ab"), chainName(null)]).toEqual(["answer@1", "ab", ""]);
  expect([readable("a\nb"), readable({ a: 1 })]).toEqual(["a\nb", '{\n  "a": 1\n}']);
  expect(quoted("it's")).toBe("'it'\\''s'");
});

test("text is seen among bytes that are none", () => {
  expect(textIn(btoa('\x00\x02H{"a": 1}\xff\n'))).toBe('··H{"a": 1}·\n');
});
