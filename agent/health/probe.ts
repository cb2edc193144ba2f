import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";

import { formatEndpoint } from "../../shared/address.ts";
import type { WantedCheck } from "../declare/input.ts";

/** Enough for any health page; the rest is not waited for. */
const mostBodyBytes = 64 * 1024;

/** As the check book asks for it: a TCP connect, or an HTTP GET that must be answered with a status of 200 to 399. */
export function probe(check: WantedCheck, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const where = formatEndpoint(check);
  let connection: Socket | ClientRequest;
  try {
    connection = check.httpPath === undefined ? connectTcp(check, resolve) : getHttp(check, resolve);
  } catch {
    // Node refuses a path that would not be one line of a request.
    resolve(`the path ${JSON.stringify(check.httpPath)} is not one HTTP allows; give it percent-encoded`);
    return promise;
  }
  const limit = setTimeout(() => {
    resolve(`${where} does not answer within ${check.timeoutMs / 1_000} s`);
    connection.destroy();
  }, check.timeoutMs);
  const stop = (): void => void connection.destroy();
  signal.addEventListener("abort", stop);
  connection.on("error", (fault: NodeJS.ErrnoException) => resolve(`${where} ${faultInWords(fault)}`));
  connection.on("close", () => {
    clearTimeout(limit);
    signal.removeEventListener("abort", stop);
    resolve(`${where} closes the connection without an answer`);
  });
  if (signal.aborted) stop();
  return promise;
}

function connectTcp({ address, port }: WantedCheck, resolve: (fault: undefined) => void): Socket {
  const socket = connect({ host: address, port, autoSelectFamily: false });
  return socket.on("connect", () => {
    resolve(undefined);
    socket.destroy();
  });
}

/** By node:http and not by fetch, whose first use alone costs the agent 14 MiB of memory. */
function getHttp(check: WantedCheck, resolve: (fault: string | undefined) => void): ClientRequest {
  const { address: host, port, httpPath: path } = check;
  const headers = { accept: "*/*", "user-agent": "berth-agent" };
  // No connection is kept: a kept one would not notice that nobody accepts new ones.
  const sent = request({ host, port, path, headers, agent: false });
  sent.on("response", (response) => {
    const status = response.statusCode ?? 0;
    const isHealthy = status >= 200 && status <= 399;
    resolve(
      isHealthy ? undefined : `${formatEndpoint(check)} answers HTTP ${status}; 200 to 399 would be healthy`,
    );
    discard(response);
  });
  sent.end();
  return sent;
}

/** A body cut off at once would be a fault in the service's own log, every few seconds. */
function discard(response: IncomingMessage): void {
  let bytes = 0;
  response.on("error", () => {});
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > mostBodyBytes) response.destroy();
  });
}

function faultInWords({ code = "", message }: NodeJS.ErrnoException): string {
  const words: Record<string, string> = {
    ECONNREFUSED: "refuses the connection: nothing listens there",
    ECONNRESET: "breaks the connection off",
    EPIPE: "breaks the connection off",
    ETIMEDOUT: "does not answer",
    EHOSTUNREACH: "cannot be reached from this machine (no route to the address)",
    ENETUNREACH: "cannot be reached from this machine (no route to its network)",
  };
  // The parser's own codes: HPE_INVALID_CONSTANT and the like.
  if (code.startsWith("HPE_")) return "answers, but not in HTTP";
  return words[code] ?? `cannot be checked (${code || message})`;
}
