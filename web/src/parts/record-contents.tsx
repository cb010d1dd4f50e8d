import { useQuery } from "@tanstack/react-query";
import type { Place, RawRecord } from "../api/client.ts";
import { queries } from "../api/queries.ts";
import { count, moment, readable } from "../format.ts";
import { CopyButton } from "./copy.tsx";
import { Broken, Loading } from "./empty.tsx";
import { Highlighted } from "./highlighted.tsx";
import { LongText } from "./long-text.tsx";

/** One record, read from Kafka when this is first shown. */
export function RecordContents({ id, place }: { id: string; place: Place }) {
  const { data: record, error, refetch } = useQuery(queries.record(id, place));
  return (
    <div className="record">
      {error && <Broken error={error} retry={() => void refetch()} />}
      {!record && !error && <Loading what="the record" />}
      {record && (
        <>
          <Envelope record={record} />
          <RecordValue record={record} />
        </>
      )}
    </div>
  );
}

function Envelope({ record }: { record: RawRecord }) {
  const { key, schema, timestamp, size, headers } = record;
  return (
    <>
      <dl className="facts">
        <div>
          <dt>Key</dt>
          <dd className={key === null ? "note" : "mono"}>{key ?? "none"}</dd>
        </div>
        <div>
          <dt>Schema</dt>
          <dd className={schema === null ? "note" : "mono"}>{schema ?? "not Avro"}</dd>
        </div>
        <div>
          <dt>Written</dt>
          <dd>{timestamp === null ? "–" : moment(timestamp)}</dd>
        </div>
        <div>
          <dt>Size</dt>
          <dd>{count(size)} bytes</dd>
        </div>
      </dl>
      {headers.length > 0 && (
        <details open>
          <summary>{count(headers.length)} headers</summary>
          <dl className="headers mono">
            {headers.map(({ name, value }, index) => (
              // A name may come twice.
              <div key={`${index}/${name}`}>
                <dt>{name}</dt>
                <dd>{value ?? <span className="note">null</span>}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </>
  );
}

function RecordValue({ record: { value, bytes } }: { record: RawRecord }) {
  if (value === null && bytes === null) return <p className="note">It has no value.</p>;
  const text = bytes ?? readable(value);
  return (
    <details open className="copied">
      <summary>{bytes === null ? "Value" : "Value, neither Avro nor JSON, in base64"}</summary>
      <CopyButton text={text} what="value" />
      <div className="text" tabIndex={0} role="region" aria-label="Value of the record">
        {bytes === null ? (
          <Highlighted text={text} language="json" />
        ) : (
          <pre className="source">
            <LongText text={bytes} />
          </pre>
        )}
      </div>
    </details>
  );
}
