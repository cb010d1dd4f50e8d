// The list itself: only the rows that one sees are in the document, however many there are.

import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type Ref, useEffect, useImperativeHandle, useRef } from "react";
import { Link } from "wouter";
import type { Row } from "../feed/store.ts";
import type { View } from "../feed/view.ts";
import { clock, duration, money, short } from "../format.ts";
import { to } from "../routes.ts";
import { Icon } from "./icon.tsx";
import { Status } from "./status.tsx";

export type RowsHandle = {
  toTop: () => void;
  show: (index: number, align?: "auto" | "start") => void;
};

type Props = {
  ref: Ref<RowsHandle>;
  view: View;
  /** Rows from this number on wait. */
  end: number;
  size: number;
  isHeld: boolean;
  selected: number | undefined;
  /** Seconds of the row under the pointer. */
  onPoint: (seconds: number | undefined) => void;
  /** Seconds of the last and first row that are seen. */
  onShown: (range: readonly [number, number] | undefined) => void;
  onScrolled: (isAtTop: boolean) => void;
  /** Stands in for rows. */
  children: ReactNode;
};

const columns = ["Time", "Status", "Chain", "Key", "Latency", "Tokens", "Cost", "First line"];
const narrow = matchMedia("(max-width: 700px)");

export function Rows({ ref, view, end, size, isHeld, selected, onPoint, onShown, onScrolled, children }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const height = narrow.matches ? 58 : 32;
  const virtualizer = useVirtualizer({
    count: size,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 8,
  });
  useImperativeHandle(ref, () => ({
    toTop: () => scroller.current?.scrollTo({ top: 0 }),
    show: (index, align = "auto") => virtualizer.scrollToIndex(index, { align }),
  }));
  const items = virtualizer.getVirtualItems();
  const top = scroller.current?.scrollTop ?? 0;
  const visible = Math.ceil((scroller.current?.clientHeight ?? 0) / height);
  const newest = view.at(Math.floor(top / height), end)?.at;
  const oldest = view.at(Math.min(size - 1, Math.floor(top / height) + visible), end)?.at;
  useEffect(() => {
    onShown(newest === undefined || oldest === undefined ? undefined : [oldest / 1000, newest / 1000]);
  }, [newest, oldest, onShown]);
  return (
    <div
      className="rows"
      ref={scroller}
      role="table"
      aria-label="Results, the latest first"
      aria-rowcount={size + 1}
      aria-colcount={columns.length}
      tabIndex={0}
      onScroll={(event) => onScrolled(event.currentTarget.scrollTop < height / 2)}
      onPointerLeave={() => onPoint(undefined)}
    >
      <div className="row head" role="row" aria-rowindex={1}>
        {columns.map((name) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
      </div>
      <div className="rows-all" role="rowgroup" style={{ height: virtualizer.getTotalSize() }}>
        {items.map(({ index, start }) => {
          const row = view.at(index, end);
          if (!row) return null;
          const key = row.seq;
          const shared = { row, index, start, isSelected: row.seq === selected };
          return row.status === "gap" ? (
            <GapRow key={key} {...shared} />
          ) : (
            <ResultRow key={key} {...shared} onPoint={onPoint} isNew={!isHeld} />
          );
        })}
      </div>
      {children}
    </div>
  );
}

type OneProps = { row: Row; index: number; start: number; isSelected: boolean };

function ResultRow({
  row,
  index,
  start,
  isSelected,
  onPoint,
}: OneProps & { onPoint: Props["onPoint"]; isNew: boolean }) {
  return (
    <div
      className="row"
      role="row"
      aria-rowindex={index + 2}
      aria-current={isSelected || undefined}
      style={{ transform: `translateY(${start}px)` }}
      onPointerEnter={() => onPoint(row.at / 1000)}
    >
      <span role="cell" className="when">
        {clock(row.at)}
      </span>
      <span role="cell" className="state">
        <Status status={row.status} />
      </span>
      <span role="cell" className="chain">
        {row.chain || "–"}
      </span>
      <span role="cell" className="key" title={row.key ?? undefined}>
        {row.key ?? ""}
      </span>
      <span role="cell" className="number latency">
        {duration(row.latencyUs)}
      </span>
      <span role="cell" className="number tokens">
        {row.inputTokens + row.outputTokens === 0 ? "–" : short(row.inputTokens + row.outputTokens)}
      </span>
      <span role="cell" className="number cost">
        {row.cost === 0 ? "–" : money(row.cost)}
      </span>
      <span role="cell" className="line">
        <Link href={to.run(row.id)}>{row.preview || row.id}</Link>
      </span>
    </div>
  );
}

function GapRow({ row, index, start, isSelected }: OneProps) {
  return (
    <div
      className="row gap"
      role="row"
      aria-rowindex={index + 2}
      aria-current={isSelected || undefined}
      style={{ transform: `translateY(${start}px)` }}
    >
      <span role="cell" aria-colspan={columns.length}>
        <Icon name="gap" /> {row.preview}
      </span>
    </div>
  );
}
