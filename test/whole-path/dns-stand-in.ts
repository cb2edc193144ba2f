import { join } from "node:path";

import { startProcess } from "../testbed/process.ts";
import type { StartedProcess } from "../testbed/started-process.ts";

export interface StandIn {
  address: string;
  port: number;
  /** The address it gives every name of a zone, by zone. */
  answers: Record<string, string>;
}

/** A DNS server in the network namespace `netns`, which gives fixed addresses and prints `asked NAME TYPE` for every question. */
export async function startStandIn(netns: string, settings: StandIn): Promise<StartedProcess> {
  const program = join(import.meta.dirname, "dns-stand-in-main.ts");
  const server = startProcess([process.execPath, program, JSON.stringify(settings)], {
    netns,
    name: "DNS stand-in",
  });
  await server.waitForLine(/stands in at/);
  return server;
}
