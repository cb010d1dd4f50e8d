// What jsdom lacks and the page asks for.
import { vi } from "vitest";

vi.stubGlobal("matchMedia", (media: string) => Object.assign(new EventTarget(), { media, matches: false }));
