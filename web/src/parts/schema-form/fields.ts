// From a JSON Schema to fields, and from what was typed to JSON. What a form cannot show well is a field of JSON text;
// what is no object has no form at all.

export type Field = {
  name: string;
  kind: "text" | "long text" | "number" | "integer" | "boolean" | "choice" | "json";
  isRequired: boolean;
  description: string;
  choices: string[];
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  initial: string;
};

/** What stands in the fields, by name. */
export type Values = Record<string, string>;

type Schema = {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: unknown[];
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
};

export function fieldsOf(schema: unknown): Field[] | undefined {
  const { type, properties, required = [] } = (schema ?? {}) as Schema;
  if (type !== "object" || !properties || Object.keys(properties).length === 0) return undefined;
  const fields = Object.entries(properties).map(([name, of]): Field => {
    const { description = "", minimum, maximum, maxLength } = of;
    return {
      name,
      kind: kindOf(of),
      isRequired: required.includes(name),
      description,
      choices: (of.enum ?? []).filter((choice) => typeof choice === "string"),
      ...(minimum === undefined ? {} : { minimum }),
      ...(maximum === undefined ? {} : { maximum }),
      ...(maxLength === undefined ? {} : { maxLength }),
      initial: of.default === undefined ? "" : typed(of.default),
    };
  });
  // What must be given is asked for first.
  return fields.sort((a, b) => Number(b.isRequired) - Number(a.isRequired));
}

function kindOf(schema: Schema): Field["kind"] {
  const { type, maxLength = 0 } = schema;
  if (schema.enum?.every((choice) => typeof choice === "string")) return "choice";
  if (type === "string") return maxLength === 0 || maxLength > 200 ? "long text" : "text";
  if (type === "number" || type === "integer" || type === "boolean") return type;
  return "json";
}

/** An empty field is left out, so that the chain's default holds or the api says that it is missing. */
export function inputOf(fields: readonly Field[], values: Values): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const { name, kind, initial } of fields) {
    const value = values[name] ?? initial;
    if (value === "") continue;
    input[name] = ["text", "long text", "choice"].includes(kind) ? value : parsed(value);
  }
  return input;
}

export function valuesOf(input: unknown): Values {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return {};
  return Object.fromEntries(Object.entries(input).map(([name, value]) => [name, typed(value)]));
}

const typed = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
