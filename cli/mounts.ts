import { readFileSync } from "node:fs";

/** Where something is mounted below `directory`, a path without links; the deepest last. */
export function mountsBelow(directory: string): string[] {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  const paths = mounts.map((line) => withoutEscapes(line.split(" ")[1] ?? ""));
  return paths.filter((path) => path.startsWith(`${directory}/`));
}

/** proc_mounts(5): space, tab, line break and backslash stand as three octal digits. */
function withoutEscapes(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
