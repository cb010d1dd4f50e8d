// A small chart over the time of the list: bars or lines, one cursor for all charts of the page, and a band where the
// rows are that one sees.

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export type Line = {
  /** What the figures are, for the text of the chart. */
  label: string;
  values: (number | null)[];
  draw: "bars" | "line" | "dashes";
  /** A custom property. */
  colour: string;
};

export type Chart = {
  label: string;
  /** Seconds since the epoch. */
  at: number[];
  lines: Line[];
  format: (value: number) => string;
  /** Seconds; what the list shows. */
  band?: readonly [number, number] | undefined;
  /** Seconds; the row that is pointed at. */
  mark?: number | undefined;
  onPick?: (seconds: number) => void;
};

const HEIGHT = 76;
/** Above the topmost line of the grid. */
const HEADROOM = 1.1;
const property = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function TimeChart(chart: Chart) {
  const at = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(chart);
  useEffect(() => {
    latest.current = chart;
    plot.current?.setData(data(chart));
  });
  const { label, lines } = chart;
  const shape = lines.map(({ label, draw, colour }) => `${label}/${draw}/${colour}`).join();
  useEffect(() => {
    const element = at.current;
    if (!element) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, latest), data(latest.current), element);
    };
    draw();
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", draw);
    return () => {
      sizes.disconnect();
      theme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [shape]);
  const last = lines.map(({ label, values }) => {
    const value = values.findLast((value) => value !== null);
    return `${label}: ${value == null ? "nothing" : chart.format(value)}`;
  });
  return (
    <div className="chart" ref={at} role="img" aria-label={`${label}, the last five minutes. ${last.join(", ")}.`} />
  );
}

const data = ({ at, lines }: Chart): uPlot.AlignedData => [at, ...lines.map(({ values }) => values)];

function options(element: HTMLElement, latest: { current: Chart }): uPlot.Options {
  const muted = property("--muted");
  const font = `11px ${property("--sans")}`;
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [6, 0, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, sync: { key: "time" }, drag: { setScale: false, x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_, __, max) => [0, roundUp(max) * HEADROOM] } },
    axes: [
      {
        stroke: muted,
        font,
        size: 20,
        gap: 3,
        grid: { show: false },
        ticks: { show: false },
        space: 70,
        // At the edge only a part of it would be seen.
        values: (plot, splits) =>
          splits.map((at) => (plot.valToPos(at, "x") < 18 ? "" : new Date(at * 1000).toTimeString().slice(0, 5))),
        incrs: [60, 120, 300],
      },
      {
        stroke: muted,
        font,
        size: 48,
        gap: 4,
        side: 1,
        grid: { stroke: property("--line"), width: 1 },
        ticks: { show: false },
        splits: (_, __, ___, max) => [0, max / HEADROOM / 2, max / HEADROOM],
        values: (_, splits) => splits.map((value, index) => (index === 0 ? "" : latest.current.format(value))),
      },
    ],
    series: [{}, ...latest.current.lines.map(series)],
    hooks: {
      drawClear: [(plot) => band(plot, latest.current)],
      draw: [(plot) => mark(plot, latest.current)],
      ready: [
        (plot) =>
          plot.over.addEventListener("click", () => {
            if (plot.cursor.left !== undefined) latest.current.onPick?.(plot.posToVal(plot.cursor.left, "x"));
          }),
      ],
    },
  };
}

/** To a figure that is read at a glance, and so is its half. */
function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8].find((of) => of * power >= value) ?? 10) * power;
}

function series({ draw, colour }: Line): uPlot.Series {
  const stroke = property(colour);
  if (draw === "bars") {
    const paths = uPlot.paths.bars?.({ size: [0.8, 12], align: 1, gap: 1 });
    return { fill: stroke, width: 0, points: { show: false }, ...(paths ? { paths } : {}) };
  }
  const points = { show: true, size: 3, fill: stroke, stroke };
  return { stroke, width: 1.5, spanGaps: false, points, ...(draw === "dashes" ? { dash: [4, 3] } : {}) };
}

function band(plot: uPlot, { band }: Chart) {
  if (!band) return;
  const { left, top, width, height } = plot.bbox;
  const inside = (seconds: number) => Math.min(left + width, Math.max(left, plot.valToPos(seconds, "x", true)));
  const [from, to] = [inside(band[0]), inside(band[1])];
  plot.ctx.fillStyle = property("--band");
  plot.ctx.fillRect(from, top, Math.max(2 * devicePixelRatio, to - from), height);
}

function mark(plot: uPlot, { mark }: Chart) {
  if (mark === undefined) return;
  const { left, top, width, height } = plot.bbox;
  const at = plot.valToPos(mark, "x", true);
  if (at < left || at > left + width) return;
  plot.ctx.fillStyle = property("--accent");
  plot.ctx.fillRect(at, top, devicePixelRatio, height);
}
