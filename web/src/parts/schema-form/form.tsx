import { useId } from "react";
import type { Mistake } from "../../api/client.ts";
import type { Field, Values } from "./fields.ts";

type Props = {
  fields: readonly Field[];
  values: Values;
  change: (values: Values) => void;
  mistakes: readonly Mistake[];
};

export function SchemaForm({ fields, values, change, mistakes }: Props) {
  return fields.map((field) => (
    <One
      key={field.name}
      field={field}
      value={values[field.name] ?? field.initial}
      change={(value) => change({ ...values, [field.name]: value })}
      // loc is ["body", "input", name, …].
      mistakes={mistakes.filter(({ loc }) => loc.includes(field.name))}
    />
  ));
}

type OneProps = { field: Field; value: string; change: (value: string) => void; mistakes: readonly Mistake[] };

function One({ field, value, change, mistakes }: OneProps) {
  const id = useId();
  const shared = {
    id,
    value,
    "aria-required": field.isRequired,
    "aria-invalid": mistakes.length > 0,
    "aria-describedby": `${id}-about`,
  };
  return (
    <div className="field">
      <label htmlFor={id}>
        {field.name} {!field.isRequired && <span className="note">optional</span>}
      </label>
      {field.kind === "choice" || field.kind === "boolean" ? (
        <select {...shared} onChange={(event) => change(event.target.value)}>
          <option value=""></option>
          {(field.kind === "boolean" ? ["true", "false"] : field.choices).map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : field.kind === "long text" || field.kind === "json" ? (
        <textarea
          {...shared}
          className={field.kind === "json" ? "mono" : ""}
          rows={field.kind === "json" ? 4 : 3}
          maxLength={field.maxLength}
          placeholder={field.kind === "json" ? "JSON" : undefined}
          onChange={(event) => change(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
          }}
        />
      ) : (
        <input
          {...shared}
          type={field.kind === "text" ? "text" : "number"}
          step={field.kind === "number" ? "any" : undefined}
          min={field.minimum}
          max={field.maximum}
          maxLength={field.maxLength}
          onChange={(event) => change(event.target.value)}
        />
      )}
      <p id={`${id}-about`} className={mistakes.length > 0 ? "is-bad" : "note"}>
        {mistakes.length > 0 ? mistakes.map(({ msg }) => msg).join("; ") : field.description}
      </p>
    </div>
  );
}
