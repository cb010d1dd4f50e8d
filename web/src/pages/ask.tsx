// Ask: pick a chain, fill in its input, send, and watch what becomes of it, down to its row in the list.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { useSearchParams } from "wouter";
import type { Run } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { Arrival } from "../parts/arrival.tsx";
import { AskForm } from "../parts/ask-form.tsx";
import { Broken, Empty, Loading } from "../parts/empty.tsx";
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
        <Asking
          key={`${chain}/${from}`}
          chain={chain}
          names={names.includes(chain) ? names : [...names, chain]}
          from={template.data}
          pick={(chain) => setQuery({ chain, ...(from ? { from } : {}) }, { replace: true })}
        />
      )}
      {template.error && <Broken error={template.error} />}
    </div>
  );
}

type AskingProps = { chain: string; names: string[]; from: Run | undefined; pick: (chain: string) => void };

function Asking(props: AskingProps) {
  const [sent, setSent] = useState<Run>();
  return (
    <div className="ask">
      <AskForm {...props} sent={setSent} />
      <Arrival run={sent} />
    </div>
  );
}
