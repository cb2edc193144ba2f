import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { z } from "zod";

import { serverName } from "../agent/status/agent-status.ts";
import { formatEndpoint, isUnspecified, parseAddress } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { BerthError, describeFault } from "../shared/errors.ts";

export interface AgentReply {
  status: number;
  text: string;
}

/** More than an agent with ten thousand problems has to say; whatever else has the port may never end. */
const largestReply = 32 * 1024 * 1024;
const replyMs = 10_000;

/**
 * What the agent whose status is at `at` says to GET `path`. Throws a BerthError: `no-agent` where nothing answers, `not-an-agent` where
 * something else does, `agent-busy` where a connection is ended before its answer. Not by fetch, which refuses some ports.
 */
export async function askAgent(at: ListenAddress, path: string): Promise<AgentReply> {
  const address = reachable(at.host);
  const where = formatEndpoint({ address, port: at.port });
  const signal = AbortSignal.timeout(replyMs);
  try {
    const asked = request({ host: address, port: at.port, path, agent: false, signal });
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    // Else a late fault, such as the time limit's, would be nobody's and end the command.
    asked.on("error", () => undefined);
    if (response.headers.server === serverName)
      return { status: response.statusCode ?? 0, text: await boundedText(response, where) };
    asked.destroy();
    throw strangerAt(where);
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    throw noAgentAt(where, cause, signal.aborted);
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

async function boundedText(response: IncomingMessage, where: string): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  // Leaving the loop ends the connection.
  for await (const part of response as AsyncIterable<Buffer>) {
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

function noAgentAt(where: string, cause: unknown, isLate: boolean): BerthError {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  // An agent that others ask too much ends the oldest of its connections.
  if (code === "ECONNRESET" && !isLate) {
    const message = `what listens at ${where} is busy: it ended the connection before an answer (${describeFault(cause)}); try again`;
    return new BerthError("agent-busy", message, { who: where, retryable: true });
  }
  const reason = code === "ECONNREFUSED" ? "" : ` (${describeFault(cause)})`;
  const fault = isLate
    ? `the agent at ${where} does not answer within ${replyMs / 1000} s`
    : `no agent answers at ${where}${reason}`;
  const mend =
    "start it with berth agent (or systemctl start berth-agent), or say where its status is with --status HOST:PORT";
  return new BerthError("no-agent", `${fault}; ${mend}`, { who: where, retryable: true });
}
