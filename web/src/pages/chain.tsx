export function ChainPage(_: { name: string }) { return null; }
