// The call as a person writes it: the chain, its input by its schema or as JSON, the key. Of a run that is changed and
// run again all goes along: key, parameters, metadata, and what of its input no field is for.

import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { Link } from "wouter";
import { carried, hasParams, useKeyOf } from "../api/again.ts";
import { api, type Run } from "../api/client.ts";
import { exactly, isObject, written } from "../api/json.ts";
import { type Mistake, Problem } from "../api/problem.ts";
import { queries } from "../api/queries.ts";
import { to } from "../routes.ts";
import { Broken, Loading } from "./empty.tsx";
import { type Field, fieldsOf, withOthers } from "./schema-form/fields.ts";
import { SchemaForm } from "./schema-form/form.tsx";
import { type Edits, fieldAt, inputOf } from "./schema-form/input.ts";

type Props = {
  chain: string;
  names: string[];
  from: Run | undefined;
  pick: (chain: string) => void;
  sent: (run: Run) => void;
};

export function AskForm({ chain, names, from, pick, sent }: Props) {
  const known = useQuery(queries.chain(chain));
  /** What the form begins with; the fields show it until somebody types. */
  const [before, setBefore] = useState<unknown>(from?.input);
  const named = useMemo(() => fieldsOf(known.data?.input_schema), [known.data]);
  const fields = useMemo(() => named && withOthers(named, before), [named, before]);
  const [edits, setEdits] = useState<Edits>({});
  const [raw, setRaw] = useState(before === undefined ? "{}" : written(before, 2));
  const [isRaw, setIsRaw] = useState<boolean>();
  const showRaw = isRaw ?? (fields === undefined || (before !== undefined && !isObject(before)));
  const carries = useKeyOf(from, from !== undefined);
  const [typedKey, setKey] = useState<string>();
  const key = typedKey ?? (carries.is === "known" ? (carries.key ?? "") : "");
  const [params, setParams] = useState(() => (hasParams(from?.params) ? written(from?.params, 2) : undefined));
  const send = useMutation({ mutationFn: api.begin, onSuccess: sent });
  /** What is wrong with what was to be sent: nobody was asked. */
  const [slip, setSlip] = useState<Problem>();
  const error = slip ?? send.error;
  const mistakes = error instanceof Problem ? error.mistakes : [];

  const made = () => {
    if (showRaw || !fields) return parsed(raw, "The input");
    const { input, mistakes } = inputOf(fields, edits, before);
    if (mistakes.length === 0) return { value: input };
    return { problem: new Problem("Not sent", "A field cannot be read; it says why.", 0, false, mistakes) };
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const input = made();
    const asked = params === undefined || params.trim() === "" ? {} : parsed(params, "The text of the parameters");
    setSlip(input.problem ?? asked.problem);
    if (input.problem || asked.problem) return;
    const along = from ? carried(from, asked.value ?? {}) : {};
    send.mutate({ chain, input: input.value, key: key || null, ...along });
  };
  const toggle = () => {
    setSlip(undefined);
    if (!showRaw && fields) {
      const { input, mistakes } = inputOf(fields, edits, before);
      if (mistakes.length > 0) return setSlip(new Problem("Not JSON yet", "A field says why.", 0, false, mistakes));
      setRaw(written(input, 2));
    } else {
      const { value, problem } = parsed(raw, "The input");
      if (problem) return setSlip(problem);
      if (!isObject(value)) return setSlip(new Problem("No form for it", "Only an object has fields.", 0, false));
      setBefore(value);
      setEdits({});
    }
    setIsRaw(!showRaw);
  };
  return (
    <form className="panel" onSubmit={submit} noValidate>
      <header>
        <label className="pick">
          Chain
          <select value={chain} onChange={(event) => pick(event.target.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        {fields && (
          <button type="button" className="quiet" aria-pressed={showRaw} onClick={toggle}>
            Raw JSON
          </button>
        )}
      </header>
      <div className="body fields">
        {from && (
          <p className="note">
            From <Link href={to.run(from.id)}>run {from.id.slice(0, 13)}…</Link>, with its key, parameters and metadata.
          </p>
        )}
        {known.error && <Broken error={known.error} retry={() => void known.refetch()} />}
        {known.isPending && <Loading what="the input schema" />}
        {known.data &&
          (showRaw || !fields ? (
            <Json label="Input, as JSON" rows={8} value={raw} change={setRaw} />
          ) : (
            <SchemaForm fields={fields} edits={edits} before={before} change={setEdits} mistakes={mistakes} />
          ))}
        {params !== undefined && (
          <Json label="Parameters (config.configurable)" rows={4} value={params} change={setParams} />
        )}
        <label className="field">
          <span>
            Key <span className="note">optional: what must stay in order with others of the same key</span>
          </span>
          <input value={key} onChange={(event) => setKey(event.target.value)} />
          {from && carries.is === "unknown" && (
            <span className="is-late">
              The key of the run is not known: {carries.why}. Without it, it leaves its lane.
            </span>
          )}
        </label>
        {error && (
          <>
            <Broken error={error} />
            <Elsewhere mistakes={mistakes} fields={showRaw ? [] : (fields ?? [])} />
          </>
        )}
        <div className="actions">
          <button className="primary" disabled={send.isPending || !known.data || (from && carries.is === "asked")}>
            {send.isPending ? "Sending …" : "Send"}
          </button>
          <Link className="button" href={to.chain(chain)}>
            Look at the chain
          </Link>
        </div>
      </div>
    </form>
  );
}

type JsonProps = { label: string; rows: number; value: string; change: (value: string) => void };

function Json({ label, rows, value, change }: JsonProps) {
  return (
    <label className="field">
      <span>{label}</span>
      <textarea
        className="mono"
        rows={rows}
        spellCheck={false}
        value={value}
        onChange={(event) => change(event.target.value)}
      />
    </label>
  );
}

/** Mistakes that no field tells. */
function Elsewhere({ mistakes, fields }: { mistakes: readonly Mistake[]; fields: readonly Field[] }) {
  const left = mistakes.filter((mistake) => fieldAt(mistake, fields) === undefined);
  if (left.length === 0) return null;
  return (
    <ul>
      {left.map(({ loc, msg }) => (
        <li key={`${loc.join(".")} ${msg}`}>
          <code>{loc.join(".")}</code> {msg}
        </li>
      ))}
    </ul>
  );
}

function parsed(text: string, what: string): { value?: unknown; problem?: Problem } {
  try {
    return { value: exactly(text) };
  } catch (error) {
    return { problem: new Problem(`${what} is not JSON`, error instanceof Error ? error.message : "", 0, false) };
  }
}
