import type { APIRequestContext } from "@playwright/test";

type Order = {
  /** So many results in the past. */
  fill?: number;
  /** So many a second from now on. */
  rate?: number;
  /** Nothing answers. */
  down?: boolean;
  /** So many records are in no table where they belong. */
  quarantined?: number;
  begin?: { chain: string; input: unknown; key?: string };
};

/** Tells the mock what shall happen. */
export async function order(request: APIRequestContext, what: Order): Promise<unknown> {
  return (await request.post("/mock", { data: what })).json();
}
