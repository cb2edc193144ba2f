import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { RR } from "../../shared/dns/message.ts";
import { node, Part } from "./parts.ts";
import type { ResolverPart } from "./resolver-part.ts";

/** `rcode` by its name, sections as shared/doh-client.ts reads them. */
export type DohReply = { rcode: string; answer: RR[]; authority: RR[]; additional: RR[] };

export type DohQuestion = { name: string; type: string; fresh?: boolean };

/** berth's own DoH client, HTTP/1.1, on the client's machine. Rejects when no answer comes. */
export type DohAsker = {
  ask(name: string, type: string, options?: { fresh?: boolean }): Promise<DohReply>;
};

export async function startDohAsker(place: {
  netns: string;
  resolver: Pick<ResolverPart, "dir" | "url" | "caFile" | "readerTokenFile">;
}): Promise<DohAsker> {
  const { netns, resolver } = place;
  // A unix socket is reached from every network namespace.
  const socketPath = join(resolver.dir, "doh");
  const argv = [
    node,
    join(import.meta.dirname, "doh-asker-main.ts"),
    socketPath,
    `${resolver.url}/dns-query`,
    resolver.readerTokenFile,
  ];
  const env = { NODE_EXTRA_CA_CERTS: resolver.caFile };
  await Part.start({ name: "DoH client", argv, netns, env, ready: /asks/ });
  return {
    ask: (name, type, options = {}) => askThrough(socketPath, { name, type, ...options }),
  };
}

async function askThrough(socketPath: string, question: DohQuestion): Promise<DohReply> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const sent = request({ socketPath, method: "POST" }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
  });
  sent.on("error", reject);
  sent.end(JSON.stringify(question));
  const { status, body } = await promise;
  if (status !== 200) throw new Error(body);
  return JSON.parse(body) as DohReply;
}
