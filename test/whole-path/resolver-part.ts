import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NetworkNode } from "../testbed/hosts.ts";
import { berth, Part } from "./parts.ts";

/** A running resolver, and the files its agents and readers need copies of. */
export type ResolverPart = {
  part: Part;
  url: string;
  address: string;
  port: number;
  caFile: string;
  agentTokenFile: string;
  readerTokenFile: string;
  adminTokenFile: string;
  dir: string;
};

export type ResolverPlace = {
  dir: string;
  client: Pick<NetworkNode, "netns" | "address">;
  port?: number;
  flags?: string[];
};

const standardPort = 8053;

/** Where a program that is told a URL and no header fields asks. */
export function pathWithToken({ readerTokenFile }: Pick<ResolverPart, "readerTokenFile">): string {
  return `/t/${encodeURIComponent(readFileSync(readerTokenFile, "utf8").trim())}/dns-query`;
}

/** The resolver on Node, reached by the container hosts over the network. */
export async function startNodeResolver(place: ResolverPlace): Promise<ResolverPart> {
  const { dir, client } = place;
  const at = resolverAt(place);
  const flags = ["--listen", `${at.address}:${at.port}`, "--state-dir", dir, ...(place.flags ?? [])];
  const argv = berth("resolver", ...flags);
  const part = await Part.start({ name: "resolver", argv, netns: client.netns, ready: /answers for/ });
  return { part, ...resolverFiles(dir), ...at, dir };
}

export function resolverAt({ client, port = standardPort }: ResolverPlace) {
  return { url: `https://${client.address}:${port}`, address: client.address, port };
}

export function resolverFiles(dir: string) {
  return {
    caFile: join(dir, "tls", "ca.pem"),
    agentTokenFile: join(dir, "agent.token"),
    readerTokenFile: join(dir, "reader.token"),
    adminTokenFile: join(dir, "admin.token"),
  };
}
