import { useQuery } from "@tanstack/react-query";
import type { Run } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { CopyButton } from "./copy.tsx";
import { Broken } from "./empty.tsx";
import { Highlighted } from "./highlighted.tsx";

const words: Record<string, string> = {
  request: "Request",
  result: "Result",
  attempt: "Audit of a call",
  run: "Audit of the run",
  dead_letter: "The record that became a dead letter",
};

/** Where the records of a run lie in Kafka, with the command that shows one. */
export function Records({ run }: { run: Run }) {
  const query = useQuery(queries.records(run.id));
  const records = query.data?.records ?? [];
  return (
    <section className="panel" aria-label="Records">
      <header>
        <h2>Records</h2>
        <span className="note">where they lie in Kafka</span>
      </header>
      {query.error && <Broken error={query.error} retry={() => void query.refetch()} />}
      {records.length > 0 && (
        <div className="scroll">
          <table>
            <thead>
              <tr>
                <th>What</th>
                <th>Topic</th>
                <th className="number">Partition</th>
                <th className="number">Offset</th>
                <th>
                  <span className="unseen">Command</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {records.map(({ what, topic, partition, offset }) => (
                <tr key={`${what}/${topic}/${partition}/${offset}`}>
                  <td>{words[what] ?? what}</td>
                  <td className="mono">{topic}</td>
                  <td className="number">{partition}</td>
                  <td className="number">{offset}</td>
                  <td className="number">
                    <CopyButton
                      text={`kcat -b "$KAFKA" -C -t ${topic} -p ${partition} -o ${offset} -c 1 -s value=avro -r "$REGISTRY"`}
                      what={`kcat command of the record at ${topic}/${partition}/${offset}`}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <details className="body">
        <summary>The run as the api gives it</summary>
        <div className="text" tabIndex={0}>
          <Highlighted text={JSON.stringify(run, null, 2)} language="json" />
        </div>
      </details>
    </section>
  );
}
