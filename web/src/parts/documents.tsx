import type { Steps } from "../api/client.ts";

/** What was retrieved for a run, best first as the index said. */
export function Documents({ steps }: { steps: Steps | undefined }) {
  const documents = steps?.documents ?? [];
  if (documents.length === 0) return null;
  const unique = [
    ...new Map(documents.map((found) => [`${found.index}/${found.namespace}/${found.id}`, found])).values(),
  ];
  const best = Math.max(...unique.map(({ score }) => Math.abs(score)), 1e-9);
  const places = [...new Set(unique.map(({ index, namespace }) => (namespace ? `${index} / ${namespace}` : index)))];
  const isOneIndex = places.length === 1;
  return (
    <section className="panel" aria-label="Retrieved chunks">
      <header>
        <h2>Retrieved chunks</h2>
        <span className="note">
          {unique.length}
          {isOneIndex && ` from ${places[0] ?? ""}`}
        </span>
      </header>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th>Chunk</th>
              {!isOneIndex && <th>Index</th>}
              <th>Score</th>
            </tr>
          </thead>
          <tbody>
            {unique.map(({ index, namespace, id, score }) => (
              <tr key={`${index}/${namespace}/${id}`}>
                <td className="mono wide">{id}</td>
                {!isOneIndex && (
                  <td className="note">
                    {index}
                    {namespace && ` / ${namespace}`}
                  </td>
                )}
                <td>
                  <span className="score">
                    <meter min={0} max={best} value={Math.max(0, score)} aria-label={`score of ${id}`} />
                    {score.toFixed(3)}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
