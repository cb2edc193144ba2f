import type { z } from "zod";

import { serverName } from "../agent/status/agent-status.ts";
import { formatEndpoint, isUnspecified, parseAddress } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";

export interface AgentReply {
  status: number;
  text: string;
}

/** More than an agent with ten thousand problems has to say; whatever else has the port may never end. */
const largestReply = 32 * 1024 * 1024;
const replyMs = 10_000;

/**
 * What the agent whose status is at `at` says to GET `path`. Throws a BerthError: `no-agent` where nothing answers, `not-an-agent` where
 * something else does.
 */
export async function askAgent(at: ListenAddress, path: string): Promise<AgentReply> {
  const where = formatEndpoint({ address: reachable(at.host), port: at.port });
  try {
    const response = await fetch(`http://${where}${path}`, {
      redirect: "manual",
      signal: AbortSignal.timeout(replyMs),
    });
    if (response.headers.get("server") !== serverName) throw strangerAt(where);
    return { status: response.status, text: await boundedText(response, where) };
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    throw noAgentAt(where, cause);
  }
}

/** As `askAgent`, of a page that is JSON of this shape. */
export async function readAgent<T>(at: ListenAddress, path: string, schema: z.ZodType<T>): Promise<T> {
  const { status, text } = await askAgent(at, path);
  if (status !== 200)
    throw new BerthError("agent-fault", `the agent answers ${status}: ${text.trim()}`, { retryable: true });
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const message =
      "the agent's reply is not one this version of berth understands; are both of the same version?";
    throw new BerthError("bad-reply", message, { cause: undefined, facts: { cause: String(cause) } });
  }
}

async function boundedText(response: Response, where: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > largestReply) throw strangerAt(where);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** An agent told to listen on every address is at this machine's own one, too. */
function reachable(host: string): string {
  const address = parseAddress(host);
  if (address === undefined || !isUnspecified(address)) return host;
  return address === "::" ? "::1" : "127.0.0.1";
}

function strangerAt(where: string): BerthError {
  const message = `what answers at ${where} is not a berth agent; --status HOST:PORT says where the agent's status is`;
  return new BerthError("not-an-agent", message, { who: where });
}

function noAgentAt(where: string, cause: unknown): BerthError {
  const isLate = cause instanceof DOMException && cause.name === "TimeoutError";
  const fault = isLate
    ? `the agent at ${where} does not answer within ${replyMs / 1000} s`
    : `no agent answers at ${where}`;
  const mend =
    "start it with berth agent (or systemctl start berth-agent), or say where its status is with --status HOST:PORT";
  return new BerthError("no-agent", `${fault}; ${mend}`, {
    who: where,
    retryable: true,
    cause: isLate ? undefined : cause,
  });
}
