// What went wrong, in the words of the api or of whoever stood in its place.

import type { components } from "./schema.gen.ts";

type Schemas = components["schemas"];
export type Mistake = Schemas["Mistake"];

/** RFC 9457, as every error of the api; or what stood in its place. */
export class Problem extends Error {
  constructor(
    readonly title: string,
    detail: string,
    /** 0: nothing answered. */
    readonly status: number,
    readonly retryable: boolean,
    readonly mistakes: readonly Mistake[] = [],
  ) {
    super(detail);
    this.name = "Problem";
  }

  static of(status: number, body: unknown): Problem {
    const problem = (typeof body === "object" && body !== null ? body : {}) as Partial<Schemas["Problem"]>;
    if (typeof problem.title === "string" && typeof problem.detail === "string") {
      return new Problem(problem.title, problem.detail, status, problem.retryable ?? status >= 500, problem.errors);
    }
    const detail = `The answer was HTTP ${status}, and not of this api. Is something else between this page and it?`;
    return new Problem("Unexpected answer", detail, status, status >= 500);
  }

  static unreachable(): Problem {
    const detail = `${location.origin} does not answer. If it runs on this machine, look at its terminal; this page goes on by itself when it is back.`;
    return new Problem("The api is away", detail, 0, true);
  }
}
