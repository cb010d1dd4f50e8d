// From what was typed to the JSON that is sent, and from mistakes to the fields that they are about. What nobody touched
// is sent as it was, whatever its field would make of it.

import { exactly, isNumber, isObject } from "../../api/json.ts";
import type { Mistake } from "../../api/problem.ts";
import { type Field, othersOf, typed } from "./fields.ts";

/** What somebody typed, by name of the field. */
export type Edits = Record<string, string>;

export function textOf(field: Field, fields: readonly Field[], edits: Edits, before: unknown): string {
  const edited = edits[field.name];
  if (edited !== undefined) return edited;
  if (!isObject(before)) return field.initial;
  if (field.kind === "others") return typed(othersOf(fields, before));
  return Object.hasOwn(before, field.name) ? typed(before[field.name]) : "";
}

export type Made = { input: Record<string, unknown>; mistakes: Mistake[] };

/** An empty field is left out, so that the chain's default holds or the api says that it is missing. */
export function inputOf(fields: readonly Field[], edits: Edits, before: unknown): Made {
  const made: Made = { input: {}, mistakes: [] };
  const member = (name: string, value: unknown) =>
    Object.defineProperty(made.input, name, { value, enumerable: true, configurable: true, writable: true });
  for (const field of fields) {
    const { name, kind } = field;
    if (isObject(before) && edits[name] === undefined) {
      if (kind === "others") for (const [name, value] of Object.entries(othersOf(fields, before))) member(name, value);
      else if (Object.hasOwn(before, name)) member(name, before[name]);
      continue;
    }
    const text = textOf(field, fields, edits, before);
    if (text === "") continue;
    const read = valueOf(kind, text);
    if ("mistake" in read) made.mistakes.push({ loc: ["body", "input", name], msg: read.mistake, type: "json" });
    else if (kind === "others") for (const [name, value] of Object.entries(read.value as object)) member(name, value);
    else member(name, read.value);
  }
  return made;
}

function valueOf(kind: Field["kind"], text: string): { value: unknown } | { mistake: string } {
  switch (kind) {
    case "text":
    case "long text":
    case "choice":
      return { value: text };
    case "number":
    case "integer":
      if (!isNumber(text.trim())) return { mistake: "is not a number as JSON writes it, such as 12, -0.5 or 1e6" };
      return { value: exactly(text.trim()) };
    case "boolean":
    case "json":
    case "others":
      try {
        const value = exactly(text);
        return kind === "others" && !isObject(value) ? { mistake: "is not an object: {…}" } : { value };
      } catch (error) {
        return { mistake: `is not JSON: ${error instanceof Error ? error.message : ""}` };
      }
  }
}

/** The field that a mistake is about, if it is about one that is shown. */
export function fieldAt(
  { loc: [body, input, name], msg, type }: Mistake,
  fields: readonly Field[],
): string | undefined {
  if (body !== "body" || input !== "input") return undefined;
  // Of a missing member the api tells the object that lacks it, and the name in words.
  const said = name ?? (type === "required" || type === "additionalProperties" ? quotedIn(msg) : undefined);
  const others = fields.find(({ kind }) => kind === "others")?.name;
  return fields.find((field) => field.name === said)?.name ?? (said === undefined ? undefined : others);
}

/** In `"question" is a required property`, or `Additional properties are not allowed ('qestion' was unexpected)`. */
function quotedIn(msg: string): string | undefined {
  const [, double, single] = /"((?:[^"\\]|\\.)*)"|'([^']*)'/.exec(msg) ?? [];
  try {
    return double === undefined ? single : String(JSON.parse(`"${double}"`));
  } catch {
    return double;
  }
}
