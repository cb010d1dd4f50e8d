// A run once more: with all that the api tells of its call, and the run that it comes from among its metadata.

import { useQuery } from "@tanstack/react-query";
import { chainName } from "../format.ts";
import type { NewRun, Place, Run } from "./client.ts";
import { isObject } from "./json.ts";
import { queries } from "./queries.ts";

/** The member of a run's metadata that names the run it repeats. */
export const AGAIN_OF = "again_of";

export type Key = { is: "known"; key: string | null } | { is: "unknown"; why: string } | { is: "asked" };

export function again(run: Run, key: string | null): NewRun {
  return { chain: chainName(run.chain), input: run.input, key, ...carried(run) };
}

/** What goes along whatever the input becomes. */
export function carried(run: Run, params: unknown = run.params): Pick<NewRun, "config" | "metadata"> {
  return {
    ...(hasParams(params) ? { config: { configurable: params } as never } : {}),
    metadata: { ...run.metadata, [AGAIN_OF]: run.id },
  };
}

export const hasParams = (params: unknown) => isObject(params) && Object.keys(params).length > 0;

/** The key of a run's request; only its record in Kafka has it. */
export function useKeyOf(run: Run | undefined, isWanted: boolean): Key {
  const place = placeOf(run?.request_src);
  const query = useQuery({
    ...queries.record(run?.id ?? "", place ?? { topic: "", partition: 0, offset: 0 }),
    enabled: isWanted && run !== undefined && place !== undefined,
  });
  if (run !== undefined && place === undefined) return { is: "unknown", why: "it is not known where its record lies" };
  if (query.error) return { is: "unknown", why: query.error.message };
  if (!query.data) return { is: "asked" };
  const { key } = query.data;
  if (key?.includes("\uFFFD")) return { is: "unknown", why: "its bytes are no text" };
  return { is: "known", key };
}

function placeOf(src: string | undefined): Place | undefined {
  const [, topic, partition, offset] = /^([^/]+)\/(\d+)\/(\d+)$/.exec(src ?? "") ?? [];
  return topic === undefined ? undefined : { topic, partition: Number(partition), offset: Number(offset) };
}
