import { Link } from "wouter";
import { to } from "../routes.ts";
import { CopyButton } from "./copy.tsx";
import { Empty } from "./empty.tsx";

/** What one sees before the first result. */
export function FirstSteps() {
  const curl = `curl -s ${location.origin}/chains/echo/invoke -H 'content-type: application/json' -d '{"input": {"hello": "stream"}}'`;
  return (
    <Empty title="No result has gone by yet">
      <p>
        Every result appears here in the moment it commits. <Link href={to.ask()}>Ask something</Link>, or call a chain
        from a terminal:
      </p>
      <pre className="command">
        <code>{curl}</code>
        <CopyButton text={curl} what="command" />
      </pre>
    </Empty>
  );
}
