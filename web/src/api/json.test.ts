import { expect, test } from "vitest";
import { exactly, isNumber, isObject, written } from "./json.ts";

const numbers =
  "0 -0 1 -1 1.0 1.50 0.1 9007199254740993 1795292668348461057 0.10000000000000000001 1e999 1E-400 1e5 -1.5e+3 0.0000001 123456789012345.12345678901234";

test.each(numbers.split(" "))("%s is written as it was read, wherever it stands", (number) => {
  for (const text of [number, `[${number}]`, `{"id":${number},"list":[{"at":${number}}]}`]) {
    expect(written(exactly(text))).toBe(text);
  }
  expect(isNumber(number)).toBe(true);
  expect(isObject(exactly(number))).toBe(false);
});

test("numbers of any size, sign and exponent, ten thousand of them", () => {
  let seed = 7;
  const below = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  const digits = (most: number) => Array.from({ length: 1 + below(most) }, () => below(10)).join("");
  for (let round = 0; round < 10_000; round++) {
    const whole = digits(40).replace(/^0+(?=.)/, "");
    const fraction = below(2) ? `.${digits(40)}` : "";
    const exponent = below(3) ? "" : `e${below(2) ? "-" : ""}${digits(4)}`;
    const text = `${below(2) ? "-" : ""}${whole}${fraction}${exponent}`;
    expect(written(exactly(text))).toBe(text);
  }
});

test("what a double holds as it is written is a number, so that figures can be reckoned with", () => {
  expect(exactly("[3, 0.25, 9007199254740991]")).toEqual([3, 0.25, 9007199254740991]);
});

test("texts, names and nesting are the browser's", () => {
  const text = '{"__proto__":{"a":"\\u0000\\ud800\\n"},"":[true,false,null,{}],"twice":2}';
  expect(written(exactly(text))).toBe(JSON.stringify(JSON.parse(text)));
  expect(written(exactly('{"twice":1,"twice":2}'))).toBe('{"twice":2}');
  expect(() => exactly('{"a": ')).toThrow(SyntaxError);
  expect(["+1", ".5", "1.", "01", "NaN", "", "0x1", "1 "].filter(isNumber)).toEqual([]);
});
