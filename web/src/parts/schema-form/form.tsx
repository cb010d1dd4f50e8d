import { useId } from "react";
import type { Mistake } from "../../api/problem.ts";
import type { Field } from "./fields.ts";
import { type Edits, fieldAt, textOf } from "./input.ts";

type Props = {
  fields: readonly Field[];
  edits: Edits;
  /** The input that this one begins with. */
  before: unknown;
  change: (edits: Edits) => void;
  mistakes: readonly Mistake[];
};

export function SchemaForm({ fields, edits, before, change, mistakes }: Props) {
  return fields.map((field) => (
    <One
      key={field.name}
      field={field}
      value={textOf(field, fields, edits, before)}
      change={(value) => change({ ...edits, [field.name]: value })}
      mistakes={mistakes.filter((mistake) => fieldAt(mistake, fields) === field.name)}
    />
  ));
}

type OneProps = { field: Field; value: string; change: (value: string) => void; mistakes: readonly Mistake[] };

function One({ field, value, change, mistakes }: OneProps) {
  const id = useId();
  const { kind, isRequired, maxLength } = field;
  const isJson = kind === "json" || kind === "others";
  const shared = {
    id,
    value,
    "aria-required": isRequired,
    "aria-invalid": mistakes.length > 0,
    "aria-describedby": `${id}-about`,
  };
  return (
    <div className="field">
      <label htmlFor={id}>
        {kind === "others" ? "Other members" : field.name}{" "}
        {isRequired ? (
          // To the ear aria-required says it.
          <span className="required" aria-hidden="true">
            required
          </span>
        ) : (
          <span className="note">optional</span>
        )}
      </label>
      {kind === "choice" || kind === "boolean" ? (
        <select {...shared} onChange={(event) => change(event.target.value)}>
          <option value=""></option>
          {options(field, value).map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : kind === "long text" || isJson ? (
        <textarea
          {...shared}
          className={isJson ? "mono" : ""}
          rows={isJson ? 4 : 3}
          maxLength={maxLength}
          placeholder={isJson ? "JSON" : undefined}
          onChange={(event) => change(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
          }}
        />
      ) : (
        <input
          {...shared}
          type="text"
          // Not type=number: that one drops what a double cannot hold, without a word.
          inputMode={kind === "number" ? "decimal" : kind === "integer" ? "numeric" : undefined}
          maxLength={maxLength}
          onChange={(event) => change(event.target.value)}
        />
      )}
      <p id={`${id}-about`} className={mistakes.length > 0 ? "is-bad" : "note"}>
        {mistakes.length > 0 ? mistakes.map(({ msg }) => msg).join("; ") : field.description}
      </p>
    </div>
  );
}

/** Also what stands there and is none of them, so that it is seen before it is sent. */
function options({ kind, choices }: Field, value: string): string[] {
  const all = kind === "boolean" ? ["true", "false"] : choices;
  return value === "" || all.includes(value) ? all : [...all, value];
}
