// The graph of a chain: what waits for nothing is on the left, and each step one column right of the last it waits for.

import { layout } from "./graph-layout.ts";

const BOX = { width: 150, height: 46 };
const GAP = { x: 56, y: 18 };

export function Graph({ graph }: { graph: unknown }) {
  const { nodes, edges, columns, rows } = layout(graph);
  const x = (column: number) => column * (BOX.width + GAP.x) + 1;
  const y = (row: number) => row * (BOX.height + GAP.y) + 1;
  const width = x(columns - 1) + BOX.width + 1;
  const height = y(rows - 1) + BOX.height + 1;
  const said = nodes.map(({ id, waitsFor }) => `${id}${waitsFor.length > 0 ? ` after ${waitsFor.join(" and ")}` : ""}`);
  return (
    <svg
      className="graph"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={`Graph: ${said.join("; ")}`}
    >
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
          <path d="M1 1l6 3l-6 3" className="edge" />
        </marker>
      </defs>
      {edges.map(({ from, to }) => {
        const [x1, y1] = [x(from.column) + BOX.width, y(from.row) + BOX.height / 2];
        const [x2, y2] = [x(to.column) - 2, y(to.row) + BOX.height / 2];
        const middle = x2 - GAP.x / 2;
        return (
          <path
            key={`${from.id}>${to.id}`}
            className="edge"
            markerEnd="url(#arrow)"
            d={`M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`}
          />
        );
      })}
      {nodes.map(({ id, kind, column, row }) => (
        <g key={id} transform={`translate(${x(column)} ${y(row)})`} className={kind === "" ? "node end" : "node"}>
          <rect width={BOX.width} height={BOX.height} rx="6" />
          <text x={BOX.width / 2} y={kind === "" ? 28 : 20}>
            {id.length > 19 ? `${id.slice(0, 18)}…` : id}
          </text>
          {kind !== "" && (
            <text x={BOX.width / 2} y="36" className="kind">
              {kind}
            </text>
          )}
        </g>
      ))}
    </svg>
  );
}
