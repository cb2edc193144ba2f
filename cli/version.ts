import { readFileSync } from "node:fs";

/** Berth's own, as package.json has it. */
export function version(): string {
  return (
    JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
  ).version;
}
