// Columns by the longest way from the input, rows by the order of the file. Chains are small and acyclic by check.

type Step = { id: string; kind: string; waits_for: string[] };

export type Node = { id: string; kind: string; waitsFor: string[]; column: number; row: number };
export type Layout = { nodes: Node[]; edges: { from: Node; to: Node }[]; columns: number; rows: number };

export const INPUT = "input";
export const OUTPUT = "output";

export function layout(graph: unknown): Layout {
  const steps = stepsOf(graph);
  const named = new Map(steps.map((step) => [step.id, step]));
  const columns = new Map<string, number>();
  const columnOf = (id: string): number => {
    const known = columns.get(id);
    if (known !== undefined) return known;
    columns.set(id, 1); // Ends a circle, should there be one.
    const column = 1 + Math.max(0, ...(named.get(id)?.waits_for ?? []).filter((id) => named.has(id)).map(columnOf));
    columns.set(id, column);
    return column;
  };
  const rows: number[] = [];
  const place = (id: string, kind: string, waitsFor: string[], column: number): Node => {
    const row = rows[column] ?? 0;
    rows[column] = row + 1;
    return { id, kind, waitsFor, column, row };
  };
  const nodes = [place(INPUT, "", [], 0)];
  for (const { id, kind, waits_for } of steps)
    nodes.push(place(id, kind, waits_for.length > 0 ? waits_for : [INPUT], columnOf(id)));
  const waitedFor = new Set(steps.flatMap(({ waits_for }) => waits_for));
  const last = steps.map(({ id }) => id).filter((id) => !waitedFor.has(id));
  const column = 1 + Math.max(0, ...nodes.map(({ column }) => column));
  nodes.push(place(OUTPUT, "", last.length > 0 ? last : [INPUT], column));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const edges = nodes.flatMap((to) =>
    to.waitsFor.flatMap((id) => {
      const from = byId.get(id);
      return from ? [{ from, to }] : [];
    }),
  );
  return { nodes, edges, columns: column + 1, rows: Math.max(1, ...rows.map((row) => row)) };
}

function stepsOf(graph: unknown): Step[] {
  const steps = (graph as { steps?: unknown } | null)?.steps;
  if (!Array.isArray(steps)) return [];
  return steps.map((step: Partial<Step>) => ({
    id: step.id ?? "?",
    kind: step.kind ?? "",
    waits_for: step.waits_for ?? [],
  }));
}
