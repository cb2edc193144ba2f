import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { RRType } from "../shared/dns/constants.ts";
import { dnsMessageType } from "../shared/dns/doh.ts";
import { encodeQuery } from "../shared/dns/message.ts";
import { mustRun } from "../test/testbed/process.ts";
import { pinned } from "./machine.ts";
import type { Placement } from "./program.ts";
import { type Method, pathOf } from "./programs/doh-session.ts";
import { ownerAt } from "./registry.ts";

export interface H2loadJob {
  origin: string;
  method: Method;
  names: number;
  sessions: number;
  inFlight: number;
  requests: number;
  /** For the files it reads. */
  dir: string;
}

/** nghttp2's generator, in C: it is never the slower side, and it is not ours. POST asks one name only; it knows one body. */
export async function runH2load(job: H2loadJob, { netns, core }: Placement): Promise<number> {
  const { origin, method, names, sessions, inFlight, requests, dir } = job;
  const counts = ["-n", String(requests), "-c", String(sessions), "-m", String(inFlight), "-t", "1"];
  const queries = Array.from({ length: names }, (_, index) => encodeQuery(ownerAt(index), RRType.SRV));
  const target = method === "GET" ? getFrom(origin, queries, dir) : postTo(origin, queries, dir);
  const output = await mustRun([...pinned(core), "h2load", ...counts, ...target], { netns });
  return readRate(output, requests);
}

function getFrom(origin: string, queries: Uint8Array[], dir: string): string[] {
  const file = join(dir, "uris");
  writeFileSync(file, queries.map((query) => `${origin}${pathOf(query, "GET")}\n`).join(""));
  return ["-i", file];
}

function postTo(origin: string, [query = new Uint8Array()]: Uint8Array[], dir: string): string[] {
  const file = join(dir, "query");
  writeFileSync(file, query);
  return ["-d", file, "-H", `content-type: ${dnsMessageType}`, `${origin}${pathOf(query, "POST")}`];
}

/** Answers per second by its own account; throws unless every single one was a 2xx. */
export function readRate(output: string, requests: number): number {
  const rate = Number(/([\d.]+) req\/s/.exec(output)?.[1]);
  const good = Number(/status codes: (\d+) 2xx/.exec(output)?.[1]);
  if (good !== requests || !(rate > 0)) throw new Error(`h2load did not get ${requests} answers:\n${output}`);
  return rate;
}
