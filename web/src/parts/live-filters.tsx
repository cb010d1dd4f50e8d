import { useQuery } from "@tanstack/react-query";
import type { RefObject } from "react";
import { queries } from "../api/queries.ts";
import type { Filter } from "../feed/view.ts";
import { Icon } from "./icon.tsx";
import { statusWord } from "./status.tsx";

const statuses = ["completed", "failed", "cancelled", "interrupted"];

type Props = {
  filter: Filter;
  change: (changed: Partial<Filter>) => void;
  search: RefObject<HTMLInputElement | null>;
};

/** They act on the rows that are here already, at once, and on all that follow. */
export function Filters({ filter, change, search }: Props) {
  const chains = useQuery(queries.chains());
  const names = (chains.data?.chains ?? []).map(({ name, version }) => `${name}@${version}`);
  if (filter.chain !== "" && !names.includes(filter.chain)) names.push(filter.chain);
  return (
    <form className="filters" role="search" aria-label="Filter results" onSubmit={(event) => event.preventDefault()}>
      <label className="search">
        <Icon name="search" />
        <span className="unseen">Search in the first line, id, key and error</span>
        <input
          ref={search}
          type="search"
          placeholder="Search  /"
          value={filter.text}
          onChange={(event) => change({ text: event.target.value })}
          onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        />
      </label>
      <select aria-label="Chain" value={filter.chain} onChange={(event) => change({ chain: event.target.value })}>
        <option value="">All chains</option>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <select aria-label="Status" value={filter.status} onChange={(event) => change({ status: event.target.value })}>
        <option value="">Any status</option>
        {statuses.map((status) => (
          <option key={status} value={status}>
            {statusWord(status)}
          </option>
        ))}
      </select>
      <input
        aria-label="Record key, exactly"
        className="key-filter"
        placeholder="Key"
        value={filter.key}
        onChange={(event) => change({ key: event.target.value })}
      />
    </form>
  );
}
