// How figures are shown. Everything is text; nothing here knows React.

import { written } from "./api/json.ts";

/** Nano-dollars are integers; below 2^53 (nine million dollars) a number holds them exactly. */
export function money(nano: number): string {
  if (nano === 0) return "$0";
  const dollars = Math.abs(nano) / 1e9;
  const sign = nano < 0 ? "−" : "";
  if (dollars >= 1) return `${sign}$${dollars.toFixed(2)}`;
  if (dollars >= 0.01) return `${sign}$${dollars.toFixed(3)}`;
  // What a call costs has five decimals, so that costs below one another line up.
  if (dollars >= 0.0001) return `${sign}$${dollars.toFixed(5)}`;
  // Two significant digits, never in exponents: $0.000012.
  const digits = Math.min(9, 1 - Math.floor(Math.log10(dollars)));
  return `${sign}$${dollars.toFixed(digits).replace(/0+$/, "")}`;
}

/** Microseconds in the unit that needs the fewest digits. */
export function duration(us: number): string {
  if (us < 1000) return `${Math.round(us)} µs`;
  const ms = us / 1000;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** 940, 9.4k, 1.2M: for places where a long number would push others away. */
export function short(value: number): string {
  if (value < 1000) return `${Math.round(value * 10) / 10}`;
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e4 ? 1 : 0)}k`;
  return `${(value / 1e6).toFixed(1)}M`;
}

/** Of a text: 12,345 characters, 1.1M characters. */
export const size = (characters: number) =>
  `${characters < 100_000 ? count(characters) : short(characters)} characters`;

export function perSecond(value: number): string {
  return value >= 100
    ? `${Math.round(value)}`
    : value >= 10
      ? value.toFixed(1)
      : value.toFixed(2).replace(/\.?0+$/, "");
}

export function percent(part: number, of: number): string {
  if (of === 0) return "–";
  if (part === 0) return "0%";
  const value = (100 * part) / of;
  return value < 0.1 ? "< 0.1%" : value < 10 ? `${value.toFixed(1)}%` : `${Math.round(value)}%`;
}

const two = (value: number) => `${value}`.padStart(2, "0");

/** Local wall time with milliseconds: 09:41:07.123. */
export function clock(ms: number): string {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${`${at.getMilliseconds()}`.padStart(3, "0")}`;
}

/** Date and local wall time: 2026-03-01 09:41:07. */
export function moment(time: string | number): string {
  const at = new Date(time);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** How long ago, coarsely. */
export function ago(time: string | number, now: number): string {
  const seconds = Math.max(0, (now - new Date(time).getTime()) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** `name@version#sha256` without the digest. */
export function chainName(chain: string | null | undefined): string {
  return chain?.split("#", 1)[0] ?? "";
}

export function chainDigest(chain: string | null | undefined): string | undefined {
  return chain?.split("#", 2)[1];
}

/** Any JSON value as a person reads it: text as it is, the rest indented. */
export function readable(value: unknown): string {
  return typeof value === "string" ? value : written(value, 2);
}

/** Bytes in base64 as the text that is in them; each character that cannot be seen is a dot. */
export function textIn(base64: string): string {
  const bytes = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
  return new TextDecoder().decode(bytes).replaceAll(/[^\P{C}\n]|\uFFFD/gu, "·");
}

/** Quoted for a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
