import { MemberFault, type Refusal } from "./faults.ts";

/** The JSON of a reply. Rejects what is none as the member's fault: etcd may have carried the request out all the same. */
export function parseReply(url: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MemberFault(url, "a reply that is no JSON", { unapplied: false, cause });
  }
}

export function isRefusal(reply: unknown): boolean {
  return isObject(reply) && "error" in reply;
}

/** Reads the gateway's account of a fault, as it is in etcd 3.4 to 3.6, or what somebody before it has to say. */
export function refusalFrom(status: number, text: string): Refusal {
  const told = parseObject(text);
  const stated = told?.error;
  // On a stream the account is an object below "error"; else it is the reply itself.
  const account = isObject(stated) ? stated : told;
  const message = account?.message ?? stated;
  if (typeof message !== "string") return { status, message: text.trim().slice(0, 200) || "an empty reply" };
  const code = account?.grpc_code ?? account?.code;
  return typeof code === "number" ? { status, code, message } : { status, message };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
