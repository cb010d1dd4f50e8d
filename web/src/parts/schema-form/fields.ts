// From a JSON Schema to fields. What a form cannot show well is a field of JSON text; what is no object has no form at
// all.

import { isObject, written } from "../../api/json.ts";

export type Field = {
  name: string;
  kind: "text" | "long text" | "number" | "integer" | "boolean" | "choice" | "json" | "others";
  isRequired: boolean;
  description: string;
  choices: string[];
  maxLength?: number;
  initial: string;
};

type Schema = {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: unknown[];
  description?: string;
  default?: unknown;
  minimum?: unknown;
  maximum?: unknown;
  maxLength?: unknown;
};

/** The field of members that the schema does not name; no member that anybody wants is named so. */
export const OTHERS = "\0others";

export function fieldsOf(schema: unknown): Field[] | undefined {
  const { type, properties, required = [] } = (schema ?? {}) as Schema;
  if (type !== "object" || !properties || Object.keys(properties).length === 0) return undefined;
  const fields = Object.entries(properties).map(([name, of]): Field => {
    const { maxLength } = of;
    return {
      name,
      kind: kindOf(of),
      isRequired: required.includes(name),
      description: described(of),
      choices: (of.enum ?? []).filter((choice) => typeof choice === "string"),
      ...(typeof maxLength === "number" ? { maxLength } : {}),
      initial: of.default === undefined ? "" : typed(of.default),
    };
  });
  // What must be given is asked for first.
  return fields.sort((a, b) => Number(b.isRequired) - Number(a.isRequired));
}

/** With one more for what the input has and the schema does not name, so that it is seen, and sent. */
export function withOthers(fields: Field[], input: unknown): Field[] {
  if (Object.keys(othersOf(fields, input)).length === 0) return fields;
  const description = "members that the schema does not name";
  const others = { name: OTHERS, kind: "others" as const, isRequired: false, choices: [], description, initial: "" };
  return [...fields, others];
}

export function othersOf(fields: readonly Field[], input: unknown): Record<string, unknown> {
  if (!isObject(input)) return {};
  const named = new Set(fields.map(({ name }) => name));
  return Object.fromEntries(Object.entries(input).filter(([name]) => !named.has(name)));
}

/** As it stands in a field. */
export const typed = (value: unknown) => (typeof value === "string" ? value : written(value));

function kindOf(schema: Schema): Field["kind"] {
  const { type, maxLength = 0 } = schema;
  if (schema.enum?.every((choice) => typeof choice === "string")) return "choice";
  if (type === "string") return maxLength === 0 || !((maxLength as number) <= 200) ? "long text" : "text";
  if (type === "number" || type === "integer" || type === "boolean") return type;
  return "json";
}

function described({ description = "", minimum, maximum }: Schema): string {
  const [least, most] = [minimum, maximum].map((bound) => (bound === undefined ? "" : written(bound)));
  const bounds = least && most ? `${least} to ${most}` : least ? `at least ${least}` : most ? `at most ${most}` : "";
  return [description, bounds].filter((part) => part !== "").join("; ");
}
