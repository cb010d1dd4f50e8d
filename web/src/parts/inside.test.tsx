import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { Inside } from "./inside.tsx";

describe("what is inside of steps", () => {
  it("is told as deep as it goes", () => {
    const inner = {
      id: "each",
      kind: "map",
      waits_for: [],
      blocks: [{ name: "each", steps: [{ id: "said", kind: "chat" }] }],
    };
    const route = { id: "route", kind: "switch", blocks: [{ name: "refund", steps: [inner] }] };
    render(<Inside graph={{ steps: [{ id: "docs", kind: "retrieve" }, route] }} />);

    const list = screen.getByRole("list", { name: "Inside of steps" });
    expect(list.textContent).toBe("route switchrefundeach mapeachsaid chat");
    expect(list.textContent).not.toContain("docs");
  });

  it("is nothing where no step holds others", () => {
    const { container } = render(<Inside graph={{ steps: [{ id: "docs", kind: "retrieve" }] }} />);
    expect(container.textContent).toBe("");
  });
});
