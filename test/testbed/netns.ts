import { randomBytes } from "node:crypto";
import { leaveToJanitor } from "./janitor.ts";
import { mustRun } from "./process.ts";

export type Netns = { name: string; remove(): Promise<void> };

/** Five hex digits: runs never meet each other's leftovers, and interface names stay below 16 characters. */
export function randomSuffix(): string {
  return randomBytes(4).toString("hex").slice(0, 5);
}

/** A network namespace with loopback up and no way out: what runs in it cannot reach any real network. */
export async function createNetns(name: string): Promise<Netns> {
  await mustRun(["ip", "netns", "add", name]);
  const forget = leaveToJanitor({ kind: "netns", id: name });
  await mustRun(["ip", "-n", name, "link", "set", "lo", "up"]);
  return {
    name,
    async remove() {
      forget();
      await mustRun(["ip", "netns", "del", name]);
    },
  };
}
