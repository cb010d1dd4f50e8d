// Ask: pick a chain, fill in its input, send, and watch what becomes of it, down to its row in the list.

import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { api, Problem, type Run } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { Arrival } from "../parts/arrival.tsx";
import { Broken, Empty, Loading } from "../parts/empty.tsx";
import { fieldsOf, inputOf, type Values, valuesOf } from "../parts/schema-form/fields.ts";
import { SchemaForm } from "../parts/schema-form/form.tsx";
import "../style/ask.css";

export function AskPage() {
  const [query, setQuery] = useSearchParams();
  const chains = useQuery(queries.chains());
  const from = query.get("from") ?? "";
  const template = useQuery({ ...queries.run(from), enabled: from !== "" });
  const names = useMemo(() => [...new Set(chains.data?.chains.map(({ name }) => name))], [chains.data]);
  const asked = query.get("chain") ?? "";
  const chain = asked !== "" ? asked : (names.find((name) => name === "answer") ?? names[0] ?? "");

  useEffect(() => {
    document.title = "Ask · Millrace";
  }, []);
  return (
    <div className="page">
      <h1>Ask</h1>
      <p className="page-lead">A call becomes a record on the request topic; its result comes back from the stream.</p>
      {chains.error && <Broken error={chains.error} retry={() => void chains.refetch()} />}
      {chains.isPending && <Loading what="the chains" />}
      {chains.data && names.length === 0 && (
        <Empty title="No chain is published yet">
          <p>An orchestrator publishes the chains that it loads. Start one: millrace run --roles orchestrator.</p>
        </Empty>
      )}
      {chain !== "" && names.length > 0 && !(from !== "" && template.isPending) && (
        <Form
          key={`${chain}/${from}`}
          chain={chain}
          names={names.includes(chain) ? names : [...names, chain]}
          input={template.data?.input}
          pick={(chain) => setQuery({ chain, ...(from ? { from } : {}) }, { replace: true })}
        />
      )}
      {template.error && <Broken error={template.error} />}
    </div>
  );
}

type FormProps = { chain: string; names: string[]; input: unknown; pick: (chain: string) => void };

function Form({ chain, names, input, pick }: FormProps) {
  const known = useQuery(queries.chain(chain));
  const fields = useMemo(() => fieldsOf(known.data?.input_schema), [known.data]);
  const [isRaw, setRaw] = useState<boolean>();
  const [raw, setRawText] = useState(input === undefined ? "{}" : JSON.stringify(input, null, 2));
  const [values, setValues] = useState<Values>(() => valuesOf(input));
  const [key, setKey] = useState("");
  const [sent, setSent] = useState<Run>();
  const send = useMutation({ mutationFn: api.begin, onSuccess: setSent });
  /** What is wrong with the JSON that was to be sent. */
  const [slip, setSlip] = useState<Problem>();
  const showRaw = isRaw ?? fields === undefined;
  const mistakes = send.error instanceof Problem ? send.error.mistakes : [];

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!showRaw && fields) return send.mutate({ chain, input: inputOf(fields, values), key: key || null });
    const text = parsed(raw);
    setSlip(text.problem);
    if (!text.problem) send.mutate({ chain, input: text.value, key: key || null });
  };
  const toggle = () => {
    if (!showRaw && fields) setRawText(JSON.stringify(inputOf(fields, values), null, 2));
    else setValues(valuesOf(parsed(raw).value));
    setSlip(undefined);
    setRaw(!showRaw);
  };
  return (
    <div className="ask">
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
          {known.error && <Broken error={known.error} retry={() => void known.refetch()} />}
          {known.isPending && <Loading what="the input schema" />}
          {known.data &&
            (showRaw || !fields ? (
              <label className="field">
                <span>Input, as JSON</span>
                <textarea
                  className="mono"
                  rows={8}
                  spellCheck={false}
                  value={raw}
                  onChange={(event) => setRawText(event.target.value)}
                />
              </label>
            ) : (
              <SchemaForm fields={fields} values={values} change={setValues} mistakes={mistakes} />
            ))}
          <label className="field">
            <span>
              Key <span className="note">optional: what must stay in order with others of the same key</span>
            </span>
            <input value={key} onChange={(event) => setKey(event.target.value)} />
          </label>
          {slip && <Broken error={slip} />}
          {send.error && !slip && <Refused error={send.error} isShownAtFields={!showRaw && fields !== undefined} />}
          <div className="actions">
            <button className="primary" disabled={send.isPending || !known.data}>
              {send.isPending ? "Sending …" : "Send"}
            </button>
            <Link className="button" href={`/chains/${encodeURIComponent(chain)}`}>
              Look at the chain
            </Link>
          </div>
        </div>
      </form>
      <Arrival run={sent} />
    </div>
  );
}

function Refused({ error, isShownAtFields }: { error: Error; isShownAtFields: boolean }) {
  const mistakes = error instanceof Problem ? error.mistakes : [];
  return (
    <>
      <Broken error={error} />
      {!isShownAtFields && mistakes.length > 0 && (
        <ul>
          {mistakes.map(({ loc, msg }) => (
            <li key={loc.join(".")}>
              <code>{loc.join(".")}</code> {msg}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function parsed(text: string): { value?: unknown; problem?: Problem } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { problem: new Problem("The input is not JSON", error instanceof Error ? error.message : "", 0, false) };
  }
}
