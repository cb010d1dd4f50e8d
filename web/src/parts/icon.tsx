// Small shapes that differ by form, so that no meaning hangs on a colour alone.

const paths = {
  completed: "M3.5 8.5l3 3 6-7",
  failed: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  cancelled: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11M4.3 4.3l7.4 7.4",
  interrupted: "M6 4v8M10 4v8",
  queued: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11M8 5v3l2 1.5",
  in_progress: "M8 2.5a5.5 5.5 0 0 1 5.5 5.5M8 13.5A5.5 5.5 0 0 1 2.5 8",
  gap: "M2.5 8h3M10.5 8h3M8 3v10",
  live: "M8 5.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 1 1 0-5",
  wait: "M4.5 2.5h7M4.5 13.5h7M5 2.5c0 4 6 7 6 11M11 2.5c0 4-6 7-6 11",
  pause: "M6 4v8M10 4v8",
  play: "M5.5 3.5l6.5 4.5l-6.5 4.5z",
  search: "M7 2.8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 1 1 0-8.4M10.2 10.2l3.3 3.3",
  copy: "M6 6h7v7H6zM3 10V3h7",
  again: "M12.5 6A5 5 0 1 0 13 9M13 2.5V6H9.5",
  back: "M9.5 3.5L5 8l4.5 4.5",
  keys: "M2 4.5h12v7H2zM4.5 7h.01M7 7h.01M9.5 7h.01M12 7h.01M5 9.5h6",
  close: "M4.5 4.5l7 7M11.5 4.5l-7 7",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className={`icon icon-${name}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}
