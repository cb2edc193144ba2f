import type codec from "dns-packet";

import { binding, ip } from "../store/contract/builders.ts";
import { type Asked, createTestApp, hostId, pushBody } from "./app.ts";

export { ask, askWith, optRecord, queryFor } from "./app.ts";

export const type = {
  A: 1,
  NS: 2,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  HTTPS: 65,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
};

/** A host with two services behind the whole app. */
export async function servingApp() {
  const parts = createTestApp();
  const addresses = [ip("10.0.0.5"), ip("2001:db8::5")];
  const at = [...addresses];
  const bindings = [
    binding("web.shop", { port: 32768, fixed: false, at }),
    binding("db", { servicePort: 5432, port: 5432, priority: 1, weight: 2, at: ["10.0.0.5"] }),
  ];
  const push = await pushBody({ addresses, bindings });
  const pushed = await parts.agent.send("PUT", `/v1/hosts/${hostId}`, push);
  if (!pushed.ok) throw new Error(`the push was refused: ${await pushed.text()}`);
  return parts;
}

/** The records of a section as text, TTL included. */
export function shown(records: codec.Answer[] | undefined): string[] {
  return (records ?? [])
    .filter((record) => record.type !== "OPT")
    .map((record) => {
      const value = "data" in record ? record.data : "";
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return `${record.name} ${"ttl" in record ? record.ttl : ""} ${record.type} ${text}`;
    });
}

/** Rcode, AA, and the EDNS part of it. */
export function head({ answer, bytes }: Asked) {
  const opt = answer.additionals?.find((record) => record.type === "OPT");
  const extended = opt?.type === "OPT" ? opt.extendedRcode << 4 : 0;
  return { rcode: extended | ((bytes[3] ?? 0) & 15), aa: ((bytes[2] ?? 0) & 4) !== 0, opt };
}

export const noError = { rcode: 0, aa: true };
export const nxDomain = { rcode: 3, aa: true };
