import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import type { RecordPlace, Run } from "../api/client.ts";
import { written } from "../api/json.ts";
import { queries } from "../api/queries.ts";
import { CopyButton } from "./copy.tsx";
import { Broken } from "./empty.tsx";
import { Highlighted } from "./highlighted.tsx";
import { Opened } from "./long-text.tsx";
import { RecordContents } from "./record-contents.tsx";

const words: Record<string, string> = {
  request: "Request",
  result: "Result",
  attempt: "Audit of a call",
  run: "Audit of the run",
  dead_letter: "The record that became a dead letter",
};

/** Where the records of a run lie in Kafka; each opens to what lies there. */
export function Records({ run }: { run: Run }) {
  const query = useQuery(queries.records(run.id));
  const records = query.data?.records ?? [];
  return (
    <section className="panel" aria-label="Records">
      <header>
        <h2>Records</h2>
        <span className="note">as they lie in Kafka</span>
      </header>
      {query.error && <Broken error={query.error} retry={() => void query.refetch()} />}
      {query.data && records.length === 0 && (
        <p className="body note">None is known yet: the recorder books a record a moment after it commits.</p>
      )}
      {records.length > 0 && (
        <div className="scroll">
          <table className="records">
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
              {records.map((place) => (
                <RecordRow
                  key={`${place.what}/${place.topic}/${place.partition}/${place.offset}`}
                  of={place}
                  run={run}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Opened summary="The run as the api gives it">
        {() => (
          <div className="text" tabIndex={0}>
            <Highlighted text={written(run, 2)} language="json" />
          </div>
        )}
      </Opened>
    </section>
  );
}

function RecordRow({ of, run }: { of: RecordPlace; run: Run }) {
  const [isOpen, setOpen] = useState(false);
  const contents = useId();
  const { what, topic, partition, offset } = of;
  return (
    <>
      <tr>
        <td>
          <button
            className="quiet opener"
            aria-expanded={isOpen}
            aria-controls={isOpen ? contents : undefined}
            onClick={() => setOpen(!isOpen)}
          >
            {words[what] ?? what}
          </button>
        </td>
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
      {isOpen && (
        <tr className="opened" id={contents}>
          <td colSpan={5}>
            <RecordContents id={run.id} place={of} />
          </td>
        </tr>
      )}
    </>
  );
}
