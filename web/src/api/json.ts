// JSON whose numbers stay as they were written. A double holds no integer above 2^53 and no long decimal, and gives
// 1.0 back as 1; what a person or a model wrote is sent, copied and approved to the digit. The parser is a library
// because the browser's own can do it only in versions of 2025 (JSON.rawJSON), and rounds in silence in those before.

import { isLosslessNumber, LosslessNumber, parse, stringify } from "lossless-json";

/** A number stays one where it says the same; each other keeps its text. */
const number = (text: string) => (String(Number(text)) === text ? Number(text) : new LosslessNumber(text));

/** Throws a SyntaxError that says where. Of members with one name the last counts, as everywhere. */
export function exactly(text: string): unknown {
  return parse(text, undefined, { parseNumber: number, onDuplicateKey: ({ newValue }) => newValue });
}

/** The text of a value that `exactly` gave; empty for undefined. */
export function written(value: unknown, indent?: number): string {
  return stringify(value, undefined, indent) ?? "";
}

/** An object as JSON has them: no list, no null, no number. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isLosslessNumber(value);
}

/** Whether JSON writes a number so: neither +1 nor .5. */
export const isNumber = (text: string) => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);
