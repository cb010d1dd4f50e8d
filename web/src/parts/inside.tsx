// What is inside of steps that hold others: the graph shows how steps wait for each other, this how they nest.

type Step = { id: string; kind: string; blocks: Block[] };
type Block = { name: string; steps: Step[] };

export function Inside({ graph }: { graph: unknown }) {
  const holding = stepsOf(graph).filter(({ blocks }) => blocks.length > 0);
  if (holding.length === 0) return null;
  return (
    <ul className="inside" aria-label="Inside of steps">
      {holding.map((step) => (
        <StepLine key={step.id} step={step} />
      ))}
    </ul>
  );
}

function StepLine({ step }: { step: Step }) {
  return (
    <li>
      <span className="mono">{step.id}</span> <span className="note">{step.kind}</span>
      {step.blocks.length > 0 && (
        <ul>
          {step.blocks.map((block) => (
            <BlockLine key={block.name} block={block} />
          ))}
        </ul>
      )}
    </li>
  );
}

function BlockLine({ block }: { block: Block }) {
  return (
    <li>
      <span className="block-name">{block.name}</span>
      <ul>
        {block.steps.map((step) => (
          <StepLine key={step.id} step={step} />
        ))}
      </ul>
    </li>
  );
}

/** Of what another version published only what can be read. */
function stepsOf(graph: unknown): Step[] {
  const steps = (graph as { steps?: unknown } | null)?.steps;
  if (!Array.isArray(steps)) return [];
  return steps.map((step: { id?: string; kind?: string; blocks?: { name?: string }[] }) => ({
    id: step.id ?? "?",
    kind: step.kind ?? "",
    blocks: (step.blocks ?? []).map((block) => ({ name: block.name ?? "?", steps: stepsOf(block) })),
  }));
}
