import type { AuditEntry, AuditList } from "../../shared/audit.ts";
import type { CreatedToken, NewToken } from "../../shared/tokens.ts";
import { RegistryBed, type Reply } from "./registry-bed.ts";
import { faultIn, pushReplyIn, RegistryHost } from "./registry-host.ts";

/** A resolver that asks for tokens at lookups, and a host of it with the name `kept`. */
export async function startServing(): Promise<{ bed: RegistryBed; nas: RegistryHost }> {
  const bed = await RegistryBed.start({ flags: ["--lookup-tokens", "on"] });
  const nas = await RegistryHost.make(bed, "nas");
  pushReplyIn(await nas.pushNames(["kept"]));
  return { bed, nas };
}

/** An agent's token of team-a, unless `fields` say otherwise. */
export async function createToken(bed: RegistryBed, fields: Partial<NewToken> = {}): Promise<CreatedToken> {
  const body = JSON.stringify({ kind: "agent", owner: "team-a", ...fields });
  const headers = { "content-type": "application/json" };
  const asked = { method: "POST", path: "/v1/tokens", token: bed.token("admin"), headers, body };
  const reply = await bed.ask(asked);
  if (reply.status !== 201) throw new Error(`no token: ${reply.status} ${reply.body}`);
  return JSON.parse(reply.body.toString()) as CreatedToken;
}

export async function auditRows(bed: RegistryBed): Promise<AuditEntry[]> {
  return (await bed.json<AuditList>("/v1/audit?limit=1000")).entries;
}

/** `200`, or `422 invalid-body`. */
export function codeOf(reply: Reply): string {
  return reply.status < 300 ? String(reply.status) : `${reply.status} ${faultIn(reply).code}`;
}
