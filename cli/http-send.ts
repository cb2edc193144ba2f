import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

import type { HttpReply, HttpRequest, HttpSend } from "../shared/resolver-exchange.ts";

/** Shorter than any server keeps one, lest a request meet the end of its connection. A resolver's is 5 s. */
const keptMs = 4_000;
/** A resolver may refuse every name of a set, each with its reason. */
const longestReply = 16 * 1024 * 1024;

/**
 * Sends over Node's own http and https: fetch takes 10 MiB more. Connections are kept for a while and TLS sessions resumed; no redirect is
 * followed. Rejects as fetch does, after the whole reply was read, or with an Error when that is too long. `refreshTrust` is called before each
 * request; when it says that other certificates are trusted now, no connection made before is used again.
 */
export function createHttpSend(refreshTrust: () => boolean): HttpSend {
  let secure = keptConnections(HttpsAgent);
  const plain = keptConnections(HttpAgent);
  return async (url, request) => {
    if (refreshTrust()) {
      secure.destroy();
      secure = keptConnections(HttpsAgent);
    }
    const isSecure = new URL(url).protocol === "https:";
    return exchange(
      isSecure ? { send: httpsRequest, agent: secure } : { send: httpRequest, agent: plain },
      url,
      request,
    );
  };
}

function keptConnections<A>(Agent: new (options: object) => A): A {
  return new Agent({ keepAlive: true, timeout: keptMs, scheduling: "lifo" });
}

interface Transport {
  send: typeof httpsRequest | typeof httpRequest;
  agent: HttpAgent;
}

async function exchange({ send, agent }: Transport, url: string, request: HttpRequest): Promise<HttpReply> {
  const { method, headers, signal } = request;
  const body = request.body instanceof Uint8Array ? request.body : await request.body?.bytes();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = send(url, { method, headers, agent, signal }, resolve);
  sent.on("error", reject);
  // All at once, so that Node says its length.
  sent.end(body);
  const reply = await promise;
  const text = await wholeText(reply);
  const status = reply.statusCode ?? 0;
  return { status, ok: status >= 200 && status < 300, text: async () => text };
}

/** Rejects when the reply breaks off, by an abort as well. */
async function wholeText(reply: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Leaving the loop ends the connection.
    if (length > longestReply) throw new Error(`a reply of more than ${longestReply} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
