// Where everything is. Links are made here only, so that an address is written once.

export const base = "/ui";

const segment = encodeURIComponent;

/** What stands in a segment of an address; nothing when it is cut off in the middle of a character. */
export function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

export const to = {
  live: (filter?: URLSearchParams) => (filter?.size ? `/?${filter}` : "/"),
  run: (id: string) => `/runs/${segment(id)}`,
  ask: (chain?: string, from?: string) => {
    const query = new URLSearchParams();
    if (chain) query.set("chain", chain);
    if (from) query.set("from", from);
    return query.size ? `/ask?${query}` : "/ask";
  },
  chains: () => "/chains",
  chain: (name: string) => `/chains/${segment(name)}`,
  health: () => "/health",
};
