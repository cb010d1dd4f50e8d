import { useQuery } from "@tanstack/react-query";
import { queries } from "../api/queries.ts";
import { count, moment, textIn } from "../format.ts";
import { CopyButton } from "./copy.tsx";
import { Broken, Loading } from "./empty.tsx";
import { LongText } from "./long-text.tsx";

/** The record that could not be processed, with its bytes as they were. */
export function DeadLetterPanel({ id }: { id: string }) {
  const { data, error, refetch } = useQuery(queries.deadLetter(id));
  return (
    <section className="panel" id="dead-letter" aria-label="Dead letter">
      <header>
        <h2>Dead letter</h2>
        {data && (
          <CopyButton
            text={`kcat -b "$KAFKA" -C -t ${data.topic} -p ${data.partition} -o ${data.offset} -c 1`}
            what="kcat command"
            label="Copy kcat command"
          />
        )}
      </header>
      {error && <Broken error={error} retry={() => void refetch()} />}
      {!data && !error && <Loading what="the dead letter" />}
      {data && (
        <div className="body">
          <p className="note way-out">
            Nothing sends it again by itself. Mend what the error names, and send it once more from where it came, or as
            a call of its own on the page Ask.
          </p>
          <dl className="facts">
            <div>
              <dt>Lay at</dt>
              <dd className="mono">
                {data.topic}/{data.partition}/{data.offset}
              </dd>
            </div>
            <div>
              <dt>Given up</dt>
              <dd>{moment(data.failed_at)}</dd>
            </div>
            <div>
              <dt>Key</dt>
              <dd className="mono">{data.key_text ?? data.key ?? "none"}</dd>
            </div>
            <div>
              <dt>Value</dt>
              <dd>
                {count(data.value_bytes)} bytes{data.value_text === undefined && ", not all of them text"}{" "}
                {data.value && <CopyButton text={data.value} what="value in base64" />}
              </dd>
            </div>
            {data.left_out.map(({ part, bytes, sha256 }) => (
              <div key={part}>
                <dt>Too large to be kept here</dt>
                <dd>
                  {part}: {count(bytes)} bytes, sha256 <span className="mono">{sha256}</span>
                </dd>
              </div>
            ))}
          </dl>
          <pre className="text" tabIndex={0}>
            <LongText
              text={
                data.value_text ??
                (data.value
                  ? textIn(data.value)
                  : data.left_out.some(({ part }) => part === "value")
                    ? "it lies where the record was read"
                    : "no value")
              }
            />
          </pre>
        </div>
      )}
    </section>
  );
}
