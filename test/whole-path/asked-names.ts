import codec from "dns-packet";

import type { RegistryBed } from "./registry-bed.ts";

/** The rcode of the answer for the name's addresses, as text; what refused the question instead, as `HTTP 401`. */
export async function askNode(bed: RegistryBed, name: string, token?: string): Promise<string> {
  const questions = [{ name: `${name}.berth.internal`, type: "A" as const }];
  const body = codec.encode({ type: "query", id: 0, questions });
  const headers = { "content-type": "application/dns-message" };
  const own = token === undefined ? {} : { token };
  const reply = await bed.ask({ method: "POST", path: "/dns-query", headers, body, ...own });
  if (reply.status !== 200) return `HTTP ${reply.status}`;
  return (codec.decode(reply.body) as { rcode?: string }).rcode ?? "";
}
