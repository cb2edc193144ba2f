import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";

import { dnsMessageType, dohPath } from "../../shared/dns/doh.ts";

export type Method = "GET" | "POST";

/** An HTTP/2 connection to a DoH server; its certificate is checked against `caFile`. */
export async function openSession(origin: string, caFile: string): Promise<ClientHttp2Session> {
  const session = connect(origin, { ca: readFileSync(caFile) });
  await new Promise<void>((resolve, reject) => {
    session.once("connect", () => resolve());
    session.once("error", reject);
  });
  return session;
}

export function pathOf(query: Uint8Array, method: Method, path = dohPath): string {
  return method === "GET" ? `${path}?dns=${Buffer.from(query).toString("base64url")}` : path;
}

/** One exchange; calls back rather than promises, for thousands a second. Anything but a 200 is a fault. */
export function exchange(
  session: ClientHttp2Session,
  { method, path }: { method: Method; path?: string },
  query: Uint8Array,
  done: (fault: Error | undefined, answer: Uint8Array) => void,
): void {
  const headers = { ":method": method, ":path": pathOf(query, method, path), accept: dnsMessageType };
  const stream =
    method === "GET"
      ? session.request(headers, { endStream: true })
      : session.request({ ...headers, "content-type": dnsMessageType, "content-length": query.length });
  if (method === "POST") stream.end(query);
  let status = 0;
  const chunks: Uint8Array[] = [];
  stream.once("response", (received) => {
    status = received[":status"] ?? 0;
  });
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  stream.once("end", () => {
    const fault = status === 200 ? undefined : new Error(`HTTP ${status} from a DoH server`);
    done(fault, chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
  });
  stream.once("error", (fault) => done(fault, new Uint8Array()));
}
